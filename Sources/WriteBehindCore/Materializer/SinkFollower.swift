import EventLog

/// A database as a follower of the log: it needs what is above its watermark, and what it has refused.
final class SinkFollower: LogFollower {
    private let materializer: Materializer
    /// Another one may be put in its place.
    private let sink: @Sendable () -> any Sink

    init(_ materializer: Materializer, sink: @escaping @Sendable () -> any Sink) {
        self.materializer = materializer
        self.sink = sink
    }

    func released(checkpoint: Bool) throws -> UInt64 {
        // In one: what leaves quarantine after a checkpoint may be there again after power loss.
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
