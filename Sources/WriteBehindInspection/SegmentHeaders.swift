package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// A segment by its headers only. Reading goes on behind damage.
package struct SegmentHeaders: Sendable {
    package let base: UInt64
    package let byteCount: Int
    /// nil if the header is not good.
    package let header: SegmentHeader?
    package private(set) var blocks: [(header: BlockHeader, offset: Int)] = []
    package private(set) var isSealed = false
    /// The sequence after the last one in its headers.
    package private(set) var nextSequence: UInt64
    /// The offsets of damaged headers, and their faults.
    package private(set) var faults: [(offset: Int, reason: String)] = []

    package init(_ environment: LogEnvironment, base: UInt64) throws {
        self.base = base
        nextSequence = base
        let path = environment.layout.segment(base)
        switch try SegmentReader.open(path, on: environment.disk) {
        case .badHeader(let reason, let count):
            (byteCount, header) = (count, nil)
            faults = [(0, "\(reason)")]
        case .opened(let segment):
            header = segment.header
            byteCount = try segment.byteCount()
            try walk(segment)
        }
    }

    private mutating func walk(_ segment: SegmentReader) throws {
        var offset = SegmentHeader.byteCount
        while true {
            switch try segment.item(at: offset, fileByteCount: byteCount) {
            case .block(let header):
                blocks.append((header, offset))
                nextSequence = header.nextSequence
                offset += BlockHeader.byteCount + Int(header.packedLength)
            case .footer:
                isSealed = true
                return
            case .end: return
            case .damaged(let reason):
                faults.append((offset, reason))
                let next = try segment.nextHeader(from: offset + 1, notBefore: nextSequence)
                guard let next else { return }
                offset = next.offset
            }
        }
    }

    package var recordCount: UInt64 { blocks.reduce(0) { $0 + UInt64($1.header.count) } }
    package var rawBytes: Int { blocks.reduce(0) { $0 + Int($1.header.rawLength) } }
    package var packedBytes: Int { blocks.reduce(0) { $0 + Int($1.header.packedLength) } }
}
