package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// A segment by its headers alone.
package struct SegmentHeaders: Sendable {
    package let base: UInt64
    package let byteCount: Int
    /// nil where the header is no good.
    package let header: SegmentHeader?
    package let blocks: [(header: BlockHeader, offset: Int)]
    package let isSealed: Bool
    /// The sequence after the last that its headers tell of.
    package let nextSequence: UInt64
    /// What stands where the next header belongs, and where.
    package let fault: (offset: Int, reason: String)?

    package init(_ environment: LogEnvironment, base: UInt64) throws {
        self.base = base
        let path = environment.layout.segment(base)
        switch try SegmentReader.open(path, on: environment.disk) {
        case .badHeader(let reason, let count):
            (byteCount, header, blocks, isSealed) = (count, nil, [], false)
            nextSequence = base
            fault = (0, "\(reason)")
        case .opened(let segment):
            header = segment.header
            byteCount = try segment.byteCount()
            blocks = try segment.headers()
            let end = blocks.last.map {
                $0.offset + BlockHeader.byteCount + Int($0.header.packedLength)
            }
            let offset = end ?? SegmentHeader.byteCount
            nextSequence = blocks.last?.header.nextSequence ?? base
            switch try segment.item(at: offset, fileByteCount: byteCount) {
            case .footer: (isSealed, fault) = (true, nil)
            case .damaged(let reason): (isSealed, fault) = (false, (offset, reason))
            case .block, .end: (isSealed, fault) = (false, nil)
            }
        }
    }

    package var recordCount: UInt64 { blocks.reduce(0) { $0 + UInt64($1.header.count) } }
    package var rawBytes: Int { blocks.reduce(0) { $0 + Int($1.header.rawLength) } }
    package var packedBytes: Int { blocks.reduce(0) { $0 + Int($1.header.packedLength) } }
}
