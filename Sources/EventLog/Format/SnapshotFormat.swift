// A snapshot: every row as of one sequence, in a file of the same container as a segment.
//
//      +--------------+ +--------+ +------+-----+------+ - -  +--------+------------+
//      | header WBN1  | | head   | | rows | ... | rows |      | footer | seek table |
//      | 128 bytes    | | block  | | block|     | block|      |   80   |            |
//      +--------------+ +--------+ +------+-----+------+ - -  +--------+------------+
//
// The header has the form of a segment's (SegmentHeader.swift). Some fields have another meaning:
//
//      tag    "WBN1"
//      base   the sequence that the snapshot reflects; equals the file's name
//      chain  the log's chain value after that sequence: it names the history
//      prev   the sequence of the snapshot that it was made from; 0 for none
//      bound  the longest raw block in this very file
//
// Blocks have the form of a segment's (BlockHeader.swift). Their "sequences" number the snapshot's own records
// from 1, without a gap:
//
//      first  number of the block's first record; count: how many it has
//      time   the time of the last commit that the snapshot reflects, microseconds: in every block
//      chain  XXH3-64 of the raw payload, seeded with the chain of the block before it; the first
//             with the header's chain. So no block can be missing, doubled or out of order.
//      unsynced before, span  0
//
// The head block is record 1 alone: a preamble record (Record.swift), the schemas of all tables. The
// footer's `first` is the number of records + 1, hence the number of rows + 2.
//
//      rows := row*
//      row  := varint(base - sequence) varint(time - row's time, ms) record
//
// with the sequence and the time of the row's last change, counted back from the snapshot's own, and
// a `put` record of the whole row. Rows ascend strictly by table and key.
//
// A run, a temporary file of the snapshotter, has the same form; there a record may also be a `patch`
// (of a row that an older file holds) or a `delete`.

/// The state of the log that a snapshot reflects.
package struct SnapshotHead: Equatable, Sendable {
    /// The snapshot reflects the log through this sequence.
    package var sequence: UInt64
    /// The log's chain value after that sequence.
    package var chain: UInt64
    /// The time of the last commit in it, milliseconds since 1970.
    package var time: UInt64
    /// When it was made, milliseconds since 1970.
    package var created: UInt64
    /// The sequence of the snapshot that it was made from; 0 for none.
    package var previous: UInt64

    package init(
        sequence: UInt64, chain: UInt64, time: UInt64, created: UInt64, previous: UInt64
    ) {
        self.sequence = sequence
        self.chain = chain
        self.time = time
        self.created = created
        self.previous = previous
    }
}

/// One record of a snapshot, without key and body.
package struct SnapshotRow: Equatable, Sendable {
    package var operation: Operation
    package var table: UInt32
    /// The sequence and the time (milliseconds since 1970) of the row's last change.
    package var sequence: UInt64
    package var time: UInt64

    package init(operation: Operation, table: UInt32, sequence: UInt64, time: UInt64) {
        self.operation = operation
        self.table = table
        self.sequence = sequence
        self.time = time
    }
}

extension SnapshotRow {
    /// Appends the row in the form that blocks have.
    func append(
        to bytes: inout [UInt8], key: Span<UInt8>, body: Span<UInt8>, in head: SnapshotHead
    ) {
        assert(sequence <= head.sequence)
        assert(time <= head.time)
        // Room is made once, because any check for each byte would cost time here.
        bytes.append(addingCapacity: Self.overhead + key.count + body.count) { output in
            output.append(varint: head.sequence - sequence)
            output.append(varint: head.time - time)
            output.append(operation.rawValue)
            output.append(varint: UInt64(table))
            output.append(varint: UInt64(key.count))
            output.append(bytes: key)
            output.append(bytes: body)
        }
    }

    /// The most bytes that a row takes in addition to its key and body: an operation and four varints.
    private static let overhead = 41

    /// Reads the row at the reader's place and steps over it. Returns the places of key and body.
    static func decode(
        _ reader: inout ByteReader, _ bytes: Span<UInt8>, in head: SnapshotHead
    ) throws(MalformedRecord) -> (row: SnapshotRow, record: Record) {
        let start = reader.offset
        let age = try reader.varint(bytes)
        let ago = try reader.varint(bytes)
        guard age < head.sequence, ago <= head.time else {
            throw MalformedRecord(offset: start, reason: "the row changed before the log began")
        }
        let record = try reader.record(bytes)
        let row = SnapshotRow(
            operation: record.operation, table: record.table, sequence: head.sequence - age,
            time: head.time - ago)
        return (row, record)
    }
}

/// Why a snapshot cannot be used. It says nothing about the log and other snapshots.
package enum SnapshotError: Error, Equatable, Sendable {
    case damaged(path: String, offset: Int, reason: String)
    /// A newer library wrote it.
    case unsupported(path: String, FormatFault)
    /// Reading or writing failed.
    case system(SystemError)
}

extension SnapshotError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .damaged(let path, let offset, let reason):
            "snapshot \(path) is damaged at offset \(offset): \(reason)"
        case .unsupported(let path, let fault):
            "snapshot \(path) cannot be read by this version: \(fault)"
        case .system(let error): "\(error)"
        }
    }
}
