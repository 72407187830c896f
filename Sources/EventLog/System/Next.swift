/// What to do after a step of something that works in steps: the flusher, the materializer, the snapshotter.
package enum Next: Equatable, Sendable {
    case stepAgain
    /// There is nothing to do before its work signal is raised or this much time has passed; nil: before the signal.
    case wait(nanoseconds: UInt64?)
}
