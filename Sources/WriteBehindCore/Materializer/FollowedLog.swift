package import EventLog

/// The part of a log that its followers need. The log is this process's own, or one that another process writes.
package protocol FollowedLog: Sendable {
    var environment: LogEnvironment { get }
    /// Everything through this sequence survives power loss.
    var readable: UInt64 { get }
    /// A reader whose first block holds `sequence`.
    func reader(from sequence: UInt64) throws(LogError) -> LogReader
    /// Throws if this process is no longer the log's writer, and so must not change the database either.
    func checkFence() throws(LogError)
}

extension FollowedLog {
    package func checkFence() throws(LogError) {}
}

extension Log: FollowedLog {}
