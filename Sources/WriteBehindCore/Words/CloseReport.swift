/// The result of ``Store/close(deadline:)``.
public struct CloseReport: Sendable, Equatable {
    /// Everything through this sequence survives power loss.
    public var durable: UInt64
    /// Everything through this sequence is in the database, or in quarantine; 0 if the database could not be asked in the end.
    public var materialized: UInt64
    /// How many records are in the log but perhaps not in the database. What it lacks is applied after the next open.
    public var pending: UInt64 { durable - min(materialized, durable) }
}
