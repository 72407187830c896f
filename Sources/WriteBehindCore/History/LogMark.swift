import EventLog

/// A named point in the log.
package struct LogMark: Equatable, Sendable {
    package var name: String
    package var sequence: UInt64
    /// Milliseconds since 1970.
    package var time: UInt64

    package init(name: String, sequence: UInt64, time: UInt64) {
        self.name = name
        self.sequence = sequence
        self.time = time
    }
}

extension StoreHistory {
    /// The marks that the log still holds, in order. Only blocks with a mark are unpacked.
    package func marks() throws(HistoryError) -> [LogMark] {
        var tried: UInt64?
        while true {
            let oldest = try logErrors { () throws(LogError) in
                try LogReader.segmentBases(environment).first
            }
            guard let oldest, oldest <= readable else { return [] }
            do throws(HistoryError) {
                return try marks(from: oldest)
            } catch {
                // Its segment may have been deleted since. The rest of the log then begins later.
                guard error.isOfDeletedLog, oldest != tried else { throw error }
                tried = oldest
            }
        }
    }

    private func marks(from oldest: UInt64) throws(HistoryError) -> [LogMark] {
        let reader = try reader(from: oldest)
        var found: [LogMark] = []
        while try logErrors({ () throws(LogError) in
            try reader.next(through: readable) { $0.flags.contains(.mark) }
        }), let block = reader.block {
            let payload = reader.payload
            do throws(MalformedRecord) {
                try Self.append(to: &found, block, payload.span)
            } catch {
                throw .malformed(sequence: block.nextSequence - 1, reason: error.reason)
            }
        }
        return found
    }

    private static func append(
        to marks: inout [LogMark], _ block: BlockHeader, _ payload: Span<UInt8>
    ) throws(MalformedRecord) {
        var commits = try CommitCursor(block, payload)
        while let commit = try commits.next(payload) {
            var reader = ByteReader(commit.records)
            var sequence = commit.firstSequence
            while !reader.isAtEnd {
                let record = try reader.record(payload)
                defer { sequence += 1 }
                guard record.operation == .mark else { continue }
                var body = ByteReader(record.body)
                let name = try body.take(try body.varint(payload))
                let bytes = Array(copying: payload.extracting(name))
                marks.append(
                    LogMark(
                        name: String(decoding: bytes, as: UTF8.self), sequence: sequence,
                        time: commit.time))
            }
        }
    }
}

extension HistoryError {
    fileprivate var isOfDeletedLog: Bool {
        switch self {
        case .gone, .log(.deleted): true
        default: false
        }
    }
}
