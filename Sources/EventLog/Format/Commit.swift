// The payload of a block, once unpacked:
//
//   block  := preamble? varint(base time) commit*
//   commit := varint(record count) varint(byte length) varint(time - base time) record*
//
// A record takes at least one byte, so a commit has no more records than bytes, and a block's count never overflows.
//
// Times are milliseconds since 1970 and never decrease. The byte length is that of the records: a
// reader steps from commit to commit, and continues the chain, without parsing a record. The block's header says
// whether there is a preamble (a record of that operation, Record.swift).

/// A commit's place in the bytes of its block.
package struct Commit: Equatable, Sendable {
    package var firstSequence: UInt64
    package var count: UInt32
    /// Milliseconds since 1970.
    package var time: UInt64
    package var records: Range<Int>

    package var lastSequence: UInt64 { firstSequence + UInt64(count) - 1 }
}

/// Walks the commits of a block's payload. Every call is given the same payload.
package struct CommitCursor: Sendable {
    private var reader: ByteReader
    private let baseTime: UInt64
    private var lastTime: UInt64
    /// The time of the block's last commit, from the block's header.
    private let endTime: UInt64
    private var nextSequence: UInt64
    private let endSequence: UInt64
    /// The place of the schemas' JSON at the start of a segment's first block.
    package let preamble: Range<Int>?

    /// Starts at the first commit of a block.
    package init(_ header: BlockHeader, _ payload: Span<UInt8>) throws(MalformedRecord) {
        var reader = ByteReader(0..<payload.count)
        var preamble: Range<Int>?
        if header.flags.contains(.preamble) {
            let record = try reader.record(payload)
            guard record.operation == .preamble else {
                throw MalformedRecord(offset: 0, reason: "no preamble where there should be one")
            }
            var body = ByteReader(record.body)
            preamble = try body.take(try body.varint(payload))
        }
        baseTime = try reader.varint(payload)
        lastTime = baseTime
        endTime = header.time / 1000
        nextSequence = header.firstSequence
        endSequence = header.nextSequence
        self.reader = reader
        self.preamble = preamble
    }

    /// The next commit; nil after the last one. The last one must end where the block ends, and at the sequence
    /// that the block's header names.
    package mutating func next(_ payload: Span<UInt8>) throws(MalformedRecord) -> Commit? {
        guard !reader.isAtEnd else {
            guard nextSequence == endSequence else {
                throw MalformedRecord(offset: reader.offset, reason: "fewer records than announced")
            }
            return nil
        }
        let start = reader.offset
        let count = try reader.varint(payload)
        let length = try reader.varint(payload)
        let (time, overflow) = baseTime.addingReportingOverflow(try reader.varint(payload))
        guard !overflow, count > 0, count <= length, count <= endSequence - nextSequence else {
            throw MalformedRecord(offset: start, reason: "impossible commit header")
        }
        guard time >= lastTime, time <= endTime else {
            throw MalformedRecord(offset: start, reason: "the commit's time is not the block's")
        }
        lastTime = time
        let records = try reader.take(length)
        defer { nextSequence += count }
        return Commit(
            firstSequence: nextSequence, count: UInt32(count), time: time, records: records)
    }
}
