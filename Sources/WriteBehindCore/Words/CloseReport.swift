/// The result of ``Store/close(deadline:)``.
public struct CloseReport: Sendable, Equatable {
    /// Everything through this sequence survives power loss.
    public var durable: UInt64
    /// Everything through this sequence is in the database, or in quarantine.
    public var materialized: UInt64
    /// How many records are in the log but not in the database. They are applied after the next open.
    public var pending: UInt64 { durable - min(materialized, durable) }
}
