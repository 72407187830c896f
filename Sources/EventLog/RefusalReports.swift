/// Reports to the observer why appends are refused.
///
/// Two threads may change that at almost the same time: the flusher's, and one that finds the store's files replaced. Each
/// report says what is true then, one report comes after the other, and none comes twice. So the last one is right.
final class RefusalReports: Sendable {
    /// The last reported refusal.
    private let reported = Lock<LogError?>(nil)

    /// To be called after each change. A closed log is not reported, because its owner has closed it.
    func report(_ staging: Staging, to observer: (any LogObserver)?) {
        reported.withLock { reported in
            let refusal = staging.refusal
            guard refusal != reported, refusal != .closed else { return }
            reported = refusal
            observer?.didChangeRefusal(refusal)
        }
    }
}
