package import EventLog

/// A log as its followers need it: this process's own, or one that another process writes.
package protocol FollowedLog: Sendable {
    var environment: LogEnvironment { get }
    /// Everything through this sequence survives power loss.
    var readable: UInt64 { get }
    /// A reader whose first block holds `sequence`.
    func reader(from sequence: UInt64) throws(LogError) -> LogReader
    /// Throws if this process is the log's writer no longer, and so may not change the database either.
    func checkFence() throws(LogError)
}

extension FollowedLog {
    package func checkFence() throws(LogError) {}
}

extension Log: FollowedLog {}
