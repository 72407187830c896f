import EventLog

extension StoreHistory {
    /// Throws if a time is before the first commit of log and snapshots, or after the last one, because the rows of that time
    /// are not known, or not known yet.
    package func requireSpan(of point: LogPoint) throws(HistoryError) {
        guard case .time(let time) = point else { return }
        guard let span = try span() else {
            throw .outsideSpan(wanted: "\(point)", span: "nothing is durable yet")
        }
        guard span.contains(time) else {
            let (first, last) = (LogPoint.time(span.lowerBound), LogPoint.time(span.upperBound))
            throw .outsideSpan(
                wanted: "\(point)",
                span: "log and snapshots hold \(first) to \(last), #\(readable)")
        }
    }

    /// The times of the oldest state that can be read and of the last durable commit; nil if there is none.
    private func span() throws(HistoryError) -> ClosedRange<UInt64>? {
        guard readable > 0 else { return nil }
        let oldest = try logErrors { () throws(LogError) in
            try LogReader.segmentBases(environment).first
        }
        let snapshots = try snapshotErrors { () throws(SnapshotError) in
            try SnapshotReader.sequences(environment)
        }
        let kept = snapshots.lazy.filter { $0 <= readable }.compactMap {
            try? SnapshotReader(of: $0, in: environment).head
        }.first
        let start =
            if oldest == 1 { try commit(holding: 1)?.time } else { kept?.time }
        let last = try commit(holding: readable)?.time ?? kept?.time
        guard let start, let last else { return nil }
        return min(start, last)...last
    }

    private func commit(holding sequence: UInt64) throws(HistoryError) -> Commit? {
        let reader = try reader(from: sequence)
        guard try logErrors({ () throws(LogError) in try reader.next(through: readable) }),
            let block = reader.block
        else { return nil }
        do throws(MalformedRecord) {
            let payload = reader.payload
            var commits = try CommitCursor(block, payload.span)
            while let commit = try commits.next(payload.span) {
                if commit.lastSequence >= sequence { return commit }
            }
            return nil
        } catch {
            throw .malformed(sequence: block.nextSequence - 1, reason: error.reason)
        }
    }
}
