/// The result of ``Store/close(deadline:)``.
public struct CloseReport: Sendable, Equatable {
    /// Everything through this sequence survives power loss.
    public var durable: UInt64
    /// Everything through this sequence is in the database, or in quarantine.
    public var materialized: UInt64
    /// Records that are in the log but not in the database. The next open goes on with them.
    public var pending: UInt64 { durable - min(materialized, durable) }
}
