import CoreMetrics
import Metrics

/// The metrics of one secondary database, which have its name as the dimension `database`.
struct SecondaryMetrics: Sendable {
    private let sequence: Gauge
    private let lagRecords: Gauge
    private let quarantined: Gauge

    init(_ name: String) {
        let dimensions = [("database", name)]
        sequence = Gauge(label: "writebehind_secondary_sequence", dimensions: dimensions)
        lagRecords = Gauge(label: "writebehind_secondary_lag_records", dimensions: dimensions)
        quarantined = Gauge(
            label: "writebehind_secondary_quarantined_commits", dimensions: dimensions)
    }

    func publish(_ health: Health.Secondary) {
        sequence.record(health.materialized ?? 0)
        lagRecords.record(health.records)
        quarantined.record(health.quarantined)
    }
}
