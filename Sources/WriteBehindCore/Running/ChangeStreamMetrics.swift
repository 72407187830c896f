import CoreMetrics
import Metrics

/// The metrics of one change stream, which have its name as the dimension `stream`.
struct ChangeStreamMetrics: Sendable {
    private let sequence: Gauge
    private let lagRecords: Gauge
    private let lagSeconds: Gauge

    init(_ name: String) {
        let dimensions = [("stream", name)]
        sequence = Gauge(label: "writebehind_change_stream_sequence", dimensions: dimensions)
        lagRecords = Gauge(label: "writebehind_change_stream_lag_records", dimensions: dimensions)
        lagSeconds = Gauge(label: "writebehind_change_stream_lag_seconds", dimensions: dimensions)
    }

    func publish(_ health: Health.ChangeStream) {
        sequence.record(health.acknowledged)
        lagRecords.record(health.records)
        lagSeconds.record(health.seconds)
    }
}
