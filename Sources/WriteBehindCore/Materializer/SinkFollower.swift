import EventLog

/// A database as a follower of the log: it needs the log above its watermark, and the commits that it has refused.
final class SinkFollower: LogFollower {
    private let materializer: Materializer
    /// A function, because the database may be replaced.
    private let sink: @Sendable () -> any Sink

    init(_ materializer: Materializer, sink: @escaping @Sendable () -> any Sink) {
        self.materializer = materializer
        self.sink = sink
    }

    func released(checkpoint: Bool) throws -> UInt64 {
        // Both are read in one exclusive call: a commit that leaves quarantine after a checkpoint may be in it again after
        // power loss.
        try materializer.exclusively {
            let sink = sink()
            let watermark = try checkpoint ? sink.checkpoint() : sink.watermark()
            let quarantine = sink.quarantine
            return quarantine.isEmpty
                ? watermark.sequence : min(watermark.sequence, quarantine.lowest - 1)
        }
    }

    func logDidGrow() { materializer.work.raise() }
}

extension Materializer {
    /// Makes everything that the database was given survive the end of its server. A database that was lost is replaced by the
    /// next step.
    /// - Returns: why it failed; nil if it succeeded.
    func keep(_ sink: any Sink, within nanoseconds: UInt64) -> SinkError? {
        do throws(SinkError) {
            let isKept: Void? = try exclusivelyIfIdle { () throws(SinkError) in
                try sink.keep(within: nanoseconds)
            }
            return isKept == nil ? SinkError(.busy, "it is being written to") : nil
        } catch {
            if error.callsForReplacement { replace(sink, after: error) }
            return error
        }
    }
}
