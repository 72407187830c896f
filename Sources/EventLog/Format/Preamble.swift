/// The schemas of all tables, so that each file can be read alone: the latest `define` record of every
/// table, as it was logged. The log does not read the schemas.
package struct Preamble: Equatable, Sendable {
    /// The most bytes of all define records: a segment's first block holds them before its first commit, and no block is
    /// longer than ``SegmentHeader/rawBlockCap``.
    package static let byteLimit = 60 << 20

    private var defines: [UInt32: [UInt8]] = [:]
    private var byteCount = 0

    package init() {}

    /// The define records of all tables, by table number: the body of a preamble record.
    package var records: [UInt8] {
        defines.keys.sorted().flatMap { defines[$0] ?? [] }
    }

    /// Reads the body of a preamble record.
    package init(decoding bytes: Span<UInt8>) throws(MalformedRecord) {
        try note(bytes)
    }

    /// Adds the define records among the records of a commit. A store never writes more than ``byteLimit`` of them.
    package mutating func note(_ records: Span<UInt8>) throws(MalformedRecord) {
        var reader = ByteReader(0..<records.count)
        while !reader.isAtEnd {
            let start = reader.offset
            let record = try reader.record(records)
            guard record.operation == .define else { continue }
            let bytes = records.extracting(start..<reader.offset)
            let total = byteCount + bytes.count - (defines[record.table]?.count ?? 0)
            guard total <= Self.byteLimit else {
                throw MalformedRecord(offset: start, reason: "the definitions are too long")
            }
            byteCount = total
            defines[record.table] = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
        }
    }

    mutating func note(_ commit: StagedCommit) throws(MalformedRecord) {
        guard commit.flags.contains(.define) else { return }
        try note(unsafe commit.records.bindMemory(to: UInt8.self).span)
    }
}
