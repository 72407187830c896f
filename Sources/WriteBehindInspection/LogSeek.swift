package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Finds places in the log by time, using only footers and block headers.
package struct LogSeek {
    private let environment: LogEnvironment

    package init(_ environment: LogEnvironment) {
        self.environment = environment
    }

    /// The first sequence of the first block whose last record is not before `time` (milliseconds
    /// since 1970); nil if all of the log is before it. The search ends at damage.
    package func sequence(notBefore time: UInt64) throws -> UInt64? {
        for base in try LogReader.segmentBases(environment) {
            let path = environment.layout.segment(base)
            guard case .opened(let segment) = try SegmentReader.open(path, on: environment.disk)
            else { return base }
            if let footer = try segment.footer(), footer.header.time / 1000 < time { continue }
            for found in try segment.headers() where found.header.time / 1000 >= time {
                return found.header.firstSequence
            }
        }
        return nil
    }

    /// The last sequence that the segments hold, by their footers and headers.
    package func lastSequence() throws -> UInt64 {
        for base in try LogReader.segmentBases(environment).reversed() {
            let path = environment.layout.segment(base)
            guard case .opened(let segment) = try SegmentReader.open(path, on: environment.disk)
            else { continue }
            if let footer = try segment.footer() { return footer.header.firstSequence - 1 }
            return (try segment.headers().last?.header.nextSequence ?? base) - 1
        }
        return 0
    }

    /// The times of the first and the last commit that the segments hold, milliseconds since 1970, by their
    /// headers; nil if they hold none that can be read.
    package func times() throws -> (first: UInt64, last: UInt64)? {
        var first: UInt64?
        var last: UInt64?
        for base in try LogReader.segmentBases(environment) {
            let path = environment.layout.segment(base)
            guard case .opened(let segment) = try SegmentReader.open(path, on: environment.disk)
            else { continue }
            if first == nil,
                case .block(let header) = try segment.item(
                    at: SegmentHeader.byteCount, fileByteCount: try segment.byteCount())
            {
                first = header.startTime ?? header.time / 1000
            }
            let end = try segment.footer()?.header ?? segment.headers().last?.header
            if let end { last = end.time / 1000 }
        }
        guard let first, let last else { return nil }
        return (first, last)
    }
}
