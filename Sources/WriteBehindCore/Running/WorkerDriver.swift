/// Runs a store's workers in the place of their threads, on its callers, in a time of its own.
package protocol WorkerDriver: AnyObject, Sendable {
    /// Takes the workers of a store that opens, in the place of those of its earlier life.
    func take(_ workers: [Worker])

    /// Has the workers do what is due. Then lets time pass, and has them do what becomes due, until `isDone` or so much
    /// time has passed.
    func run(for nanoseconds: UInt64, until isDone: () -> Bool)
}

extension WorkerDriver {
    /// Has the workers do what is due now: called before a caller waits for it.
    package func runDue() { run(for: 0) { false } }
}
