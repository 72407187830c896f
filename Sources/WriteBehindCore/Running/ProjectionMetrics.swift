import CoreMetrics
import Metrics

/// The metrics of one projection, which have its name as the dimension `projection`.
struct ProjectionMetrics: Sendable {
    private let lagRecords: Gauge
    private let isBehind: Gauge

    init(_ name: String) {
        let dimensions = [("projection", name)]
        lagRecords = Gauge(label: "writebehind_projection_lag_records", dimensions: dimensions)
        isBehind = Gauge(label: "writebehind_projection_not_current", dimensions: dimensions)
    }

    func publish(_ health: Health.Projection) {
        if let records = health.records { lagRecords.record(records) }
        isBehind.record(health.state == .current ? 0 : 1)
    }
}
