package import CoreMetrics
import DiskSimulation

/// Keeps what was measured, by the metric's name.
package final class TestMetrics: MetricsFactory {
    /// The process has one metrics system, so the tests share this.
    package static let bootstrapped: TestMetrics = {
        let factory = TestMetrics()
        MetricsSystem.bootstrap(factory)
        return factory
    }()

    private let values = Locked<[String: Double]>([:])
    private let newest = Locked<[String: Double]>([:])

    package var names: Set<String> { values.withLock { Set($0.keys) } }
    package func sum(_ name: String) -> Double { values.withLock { $0[name] ?? 0 } }
    package func last(_ name: String) -> Double? { newest.withLock { $0[name] } }

    private final class Handler: CounterHandler, RecorderHandler, TimerHandler {
        let label: String
        let metrics: TestMetrics

        init(_ label: String, _ metrics: TestMetrics) {
            self.label = label
            self.metrics = metrics
        }

        private func add(_ value: Double) {
            metrics.values.withLock { $0[label, default: 0] += value }
            metrics.newest.withLock { $0[label] = value }
        }
        func increment(by amount: Int64) { add(Double(amount)) }
        func reset() {}
        func record(_ value: Int64) { add(Double(value)) }
        func record(_ value: Double) { add(value) }
        func recordNanoseconds(_ duration: Int64) { add(Double(duration)) }
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        Handler(label, self)
    }
    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        Handler(label, self)
    }
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        Handler(label, self)
    }
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}
