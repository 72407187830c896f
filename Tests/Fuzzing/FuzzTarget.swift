// Both the tests and the fuzzer feed bytes to this.
//
// Each target takes any bytes, makes all checksums in them right, so that damage gets behind these, and
// hands them to a decoder the way a store does. A decoder may refuse bytes with the error it documents.
// It must not trap, hang, or take memory out of proportion; and what it accepts it must hold on to: written
// again, it reads the same.

/// A decoder, and what it reads.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// A segment file, opened as a store's only one, repaired, continued, folded and merged.
    case segment
    /// The raw payload of a segment's first block, behind a byte for its flags and one for its count.
    case payload
    /// A staging file without the empty part of its first page, beside a segment that it continues.
    case staging
    /// A snapshot file.
    case snapshot
    /// The raw payload of a snapshot's block of rows, behind a byte for its count.
    case rows
    /// store.json.
    case identity
    /// The JSON of a table's definition.
    case definition
    /// u8 length, key, u8 length, row, patch or add: of one table's.
    case row

    /// Runs the decoder. Returns whether it accepted the bytes.
    /// - Throws: what it did that it must not.
    @discardableResult
    package func run(_ bytes: [UInt8]) throws -> Bool {
        switch self {
        case .segment: try FuzzLog.run(segment: bytes)
        case .payload: try FuzzLog.run(payload: bytes)
        case .staging: try FuzzLog.run(staging: bytes)
        case .snapshot: try FuzzSnapshot.run(file: bytes)
        case .rows: try FuzzSnapshot.run(rows: bytes)
        case .identity: try FuzzText.run(identity: bytes)
        case .definition: try FuzzText.run(definition: bytes)
        case .row: try FuzzRow.run(bytes)
        }
    }

    /// Inputs that are accepted: what a store writes.
    package func seeds() throws -> [[UInt8]] {
        switch self {
        case .segment: try FuzzSeeds.segments()
        case .payload: try FuzzSeeds.payloads()
        case .staging: try FuzzSeeds.stagings()
        case .snapshot: try FuzzSeeds.snapshots()
        case .rows: try FuzzSeeds.rows()
        case .identity: FuzzSeeds.identities()
        case .definition: FuzzSeeds.definitions()
        case .row: try FuzzSeeds.tableRows()
        }
    }
}

/// A rule that a decoder broke.
package struct FuzzFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

func require(_ holds: Bool, _ rule: @autoclosure () -> String) throws(FuzzFailure) {
    if !holds { throw FuzzFailure(rule()) }
}
