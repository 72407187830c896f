import EventLog
import Logging

extension Engine {
    /// All projections, by their names.
    package var projectionHealth: [Health.Projection] {
        let staged = log.lastSequence
        let now = time.wallMilliseconds()
        return (sink.projections ?? []).map { status in
            var health = Health.Projection(
                name: status.name, version: status.version,
                table: tables[status.table]?.schema.name, state: .current,
                records: status.sequence.map { staged - min($0, staged) }, seconds: 0)
            switch status.phase {
            case .current: break
            case .building(let rows): (health.state, health.rows) = (.building, rows)
            case .stopped: health.state = .stopped
            case .undeclared: health.state = .undeclared
            }
            if let failure = status.failure {
                health.cause = failure.placed
                let since = UInt64(max(0, failure.since)) / 1000
                health.seconds = Double(now - min(now, since)) / 1000
            }
            return health
        }
    }
}

extension StoredProjection.Failure {
    /// The message, with the commit at which it came.
    package var placed: String {
        (sequence > 0 ? "at sequence \(sequence): " : "") + message
    }
}

/// Publishes the state of projections, and logs when one stops.
struct ProjectionWatch {
    private var metrics: [String: ProjectionMetrics] = [:]
    /// The last cause that was logged, by name.
    private var logged: [String: String] = [:]

    mutating func publish(_ projections: [Health.Projection], to logger: Logger) {
        for projection in projections {
            let metrics = metrics[projection.name] ?? ProjectionMetrics(projection.name)
            metrics.publish(projection)
            self.metrics[projection.name] = metrics
            guard logged[projection.name] != projection.cause else { continue }
            logged[projection.name] = projection.cause
            guard let cause = projection.cause else { continue }
            logger.error(
                projection.state == .stopped
                    ? "a projection has stopped" : "a projection cannot be built yet",
                metadata: ["projection": "\(projection.name)", "cause": "\(cause)"])
        }
    }
}

extension Health {
    mutating func judge(_ projections: [Projection]) {
        self.projections = projections
        for projection in projections {
            guard let cause = projection.cause, projection.state != .undeclared else { continue }
            verdict = max(verdict, .degraded)
            let name = "the projection \(StoredValue.text(projection.name))"
            let age = Int(projection.seconds)
            causes.append(
                projection.state == .stopped
                    ? "\(name) has stopped \(age) s ago, \(cause)"
                    : "\(name) has not been built for \(age) s: \(cause)")
        }
    }
}
