import EventLog

/// Tries all commits again that one database has in quarantine: one pass over the log, a part at a time. Blocks its thread.
struct QuarantineRetry {
    let log: Log
    let materializer: Materializer
    /// The database. If it is replaced meanwhile, ``check`` ends the retry.
    let sink: any Sink
    /// Throws if the retry must not go on.
    let check: () throws(StoreError) -> Void
    let didRetry: (QuarantineIndex.Changes) -> Void

    init(
        _ log: Log, _ materializer: Materializer, _ sink: any Sink,
        check: @escaping () throws(StoreError) -> Void,
        didRetry: @escaping (QuarantineIndex.Changes) -> Void = { _ in }
    ) {
        (self.log, self.materializer, self.sink) = (log, materializer, sink)
        (self.check, self.didRetry) = (check, didRetry)
    }

    /// - Returns: how many commits left quarantine, and how many are still in it, or in it again.
    func run() throws(StoreError) -> (applied: Int, left: Int) {
        var pass = RetryPass()
        var walk: QuarantineWalk?
        while true {
            let isDone = try materializer.exclusively { () throws(StoreError) -> Bool in
                try check()
                let isDone = try step(&pass, &walk)
                // Constraints that were not in force because rows broke them.
                if isDone {
                    try StoreError.ofSink { () throws(SinkError) in try sink.makeIndices() }
                }
                return isDone
            }
            if isDone { break }
            // A lock goes to a thread that is running. This pause lets the materializer have it.
            Signal().wait(after: 0, nanoseconds: 1_000_000)
        }
        return (pass.applied, sink.quarantine.commitCount)
    }

    /// Returns whether all were tried.
    private func step(
        _ pass: inout RetryPass, _ walk: inout QuarantineWalk?
    ) throws(StoreError) -> Bool {
        let quarantine = sink.quarantine
        guard !quarantine.isEmpty else { return true }
        try StoreError.ofLog { () throws(LogError) in try log.checkFence() }
        let through = try StoreError.ofSink { () throws(SinkError) in try sink.watermark().sequence
        }
        let (commits, isLast) = try StoreError.ofLog { () throws(LogError) in
            let current: QuarantineWalk
            if let walk {
                current = walk
            } else {
                current = try QuarantineWalk(quarantine, log, through: through)
                walk = current
            }
            current.extend(through: through)
            return (try current.next(of: quarantine), current.isAtEnd)
        }
        didRetry(
            try StoreError.ofSink { () throws(SinkError) in
                try sink.retry(commits, in: &pass, isLast: isLast)
            })
        // Another store may have taken the database by now. Then this throws, so that nothing is reported as done.
        try StoreError.ofLog { () throws(LogError) in try log.checkFence() }
        return isLast
    }

    /// Throws if the log's state forbids a retry.
    static func check(_ log: Log) throws(StoreError) {
        switch log.refusal {
        // Another store may have the database by now, or this store can only be read.
        case .closed?: throw StoreError(LogError.closed)
        case .corrupt(let corruption)?: throw StoreError(LogError.corrupt(corruption))
        default: break
        }
    }
}
