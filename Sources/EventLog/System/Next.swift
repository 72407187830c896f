/// What a caller must do after a step of the flusher, the materializer or the snapshotter.
package enum Next: Equatable, Sendable {
    case stepAgain
    /// There is nothing to do until the work signal is raised or this much time has passed; nil waits only for the signal.
    case wait(nanoseconds: UInt64?)

    /// The one of two that comes first.
    package func sooner(_ other: Next) -> Next {
        guard case .wait(let own) = self, case .wait(let others) = other else { return .stepAgain }
        return .wait(nanoseconds: own.map { min($0, others ?? $0) } ?? others)
    }
}
