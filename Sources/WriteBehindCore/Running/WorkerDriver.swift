/// Runs a store's workers instead of threads: on the threads of its callers, and by a clock of its own.
package protocol WorkerDriver: AnyObject, Sendable {
    /// Takes the workers of a store that opens. They replace those from before the store was closed, if any.
    func take(_ workers: [Worker])

    /// Runs the steps of the workers that are due. Then lets time pass and runs the steps that become due, until `isDone` is
    /// true or this much time has passed.
    func run(for nanoseconds: UInt64, until isDone: () -> Bool)
}

extension WorkerDriver {
    /// Runs the steps that are due now. Called before a caller waits for their result.
    package func runDue() { run(for: 0) { false } }
}
