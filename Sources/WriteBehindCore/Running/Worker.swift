package import EventLog
import Glibc
import Synchronization

/// A thread that drives steps. The same steps also run under a simulation, without threads.
///
/// If a step throws, the worker has died. The ``Watchdog`` starts it again.
package final class Worker: Sendable {
    fileprivate struct State {
        var isRunning = false
        /// Whether a ``WorkerDriver`` makes the steps instead of a thread.
        var isDriven = false
        var shouldStop = false
        var death: String?
        /// Jobs to run on the thread before its next step.
        var jobs: [@Sendable () -> Void] = []
        var thread: pthread_t?
    }

    let name: String
    private let signal: Signal
    private let isBackground: Bool
    private let polling: UInt64
    private let step: @Sendable () throws -> Next
    private let startThread: StartThread
    private let state = Lock(State())
    private let finished = Signal()
    /// How many steps have begun. If it does not grow while there is work, the worker hangs.
    private let beats = Atomic<UInt64>(0)
    private let isStepping = Atomic<Bool>(false)

    /// - Parameter signal: raised when there may be something to do.
    /// - Parameter isBackground: whether other threads go first when they compete for a processor.
    /// - Parameter polling: how long the thread polls the signal before it sleeps, nanoseconds.
    package init(
        _ name: String, signal: Signal, isBackground: Bool = false, polling: UInt64 = 0,
        startThread: @escaping StartThread = NamedThread.start,
        step: @escaping @Sendable () throws -> Next
    ) {
        self.name = name
        self.isBackground = isBackground
        self.polling = polling
        self.signal = signal
        self.startThread = startThread
        self.step = step
    }

    package var heartbeat: (beats: UInt64, isStepping: Bool) {
        (beats.load(ordering: .relaxed), isStepping.load(ordering: .relaxed))
    }

    /// Why the worker ended without being stopped; nil if it did not.
    package var death: String? { state.withLock { $0.death } }

    /// Starts the thread, if it is not running. If the machine gives no thread, the worker has died of that.
    @discardableResult
    package func start() -> NoThread? {
        let mayStart = state.withLock { state in
            guard !state.isRunning, !state.shouldStop else { return false }
            state.death = nil
            state.isRunning = !state.isDriven
            return state.isRunning
        }
        guard mayStart else { return nil }
        do throws(NoThread) {
            try startThread("wb-\(name)") { self.run() }
            return nil
        } catch {
            end(death: "\(error)")
            return error
        }
    }

    /// Runs a job on the thread before its next step; false if there is no thread.
    package func perform(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isRunning = state.withLock { state in
            guard state.isRunning, !state.shouldStop else { return false }
            state.jobs.append(job)
            return true
        }
        if isRunning { signal.raise() }
        return isRunning
    }

    private func run() {
        // On Linux this sets the priority of this thread only. It lowers its share of the disk as well.
        if isBackground { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10) }
        state.withLock { $0.thread = pthread_self() }
        var death: String?
        do {
            while true {
                // Taken before the state is read: a stop after that raises the signal past this ticket.
                let ticket = signal.current
                let (jobs, shouldStop) = state.withLock { ($0.takeJobs(), $0.shouldStop) }
                for job in jobs { job() }
                if shouldStop { break }
                if case .wait(let nanoseconds) = try makeStep() {
                    if polling > 0 { signal.poll(after: ticket, nanoseconds: polling) }
                    signal.wait(after: ticket, nanoseconds: nanoseconds)
                }
            }
        } catch {
            death = "\(error)"
        }
        end(death: death)
    }

    private func makeStep() throws -> Next {
        beats.add(1, ordering: .relaxed)
        isStepping.store(true, ordering: .relaxed)
        defer { isStepping.store(false, ordering: .relaxed) }
        return try step()
    }

    private func end(death: String?) {
        state.withLock {
            $0.isRunning = false
            $0.thread = nil
            $0.death = death
        }
        finished.raise()
    }

    /// Ends the thread after its current step or job, and waits for it, unless it is called on this very thread.
    package func stop() {
        let ticket = finished.current
        let mustWait = state.withLock { state in
            state.shouldStop = true
            return state.isRunning && state.thread != pthread_self()
        }
        signal.raise()
        if mustWait { finished.wait(after: ticket) }
    }
}

extension Worker {
    /// How often the signal was raised.
    package var callCount: UInt64 { signal.current }

    /// Leaves the steps to a ``WorkerDriver`` from now on. To be called instead of ``start()``.
    package func leaveToDriver() { state.withLock { $0.isDriven = true } }

    /// Makes one step on the calling thread; nil if the worker was stopped or has died.
    package func stepHere() -> Next? {
        guard state.withLock({ !$0.shouldStop && $0.death == nil }) else { return nil }
        do {
            return try makeStep()
        } catch {
            state.withLock { $0.death = "\(error)" }
            return nil
        }
    }
}

/// Runs `other` while `body` runs, and returns when both have ended.
package typealias Alongside =
    @Sendable (_ other: @escaping @Sendable () -> Void, _ body: () -> Void) -> Void

extension Worker {
    /// Runs `other` on a thread of its own while `body` runs here. If the machine gives no thread, it runs after `body`.
    @Sendable package static func alongside(
        _ other: @escaping @Sendable () -> Void, _ body: () -> Void
    ) {
        alongside(NamedThread.start, other, body)
    }

    package static func alongside(
        _ startThread: StartThread, _ other: @escaping @Sendable () -> Void, _ body: () -> Void
    ) {
        let done = Signal()
        do throws(NoThread) {
            try startThread("wb-ahead") {
                other()
                done.raise()
            }
        } catch {
            body()
            return other()
        }
        body()
        done.wait(after: 0)
    }
}

extension Worker {
    /// Runs `body` on a thread of its own, and suspends the caller meanwhile. For work that waits for a disk, a database or
    /// another thread: if a thread of Swift's pool waited, it might wait for work that only itself could run.
    ///
    /// - Throws: ``StoreError/noResources(_:)``, with nothing done, if the machine gives no thread.
    package static func waiting<R: Sendable>(
        _ name: String, _ body: @escaping @Sendable () -> R
    ) async throws(StoreError) -> R {
        let result: Result<R, NoThread> = await withCheckedContinuation { continuation in
            do throws(NoThread) {
                try NamedThread.start(named: "wb-\(name)") {
                    continuation.resume(returning: .success(body()))
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        do throws(NoThread) {
            return try result.get()
        } catch {
            throw .noResources("\(error)")
        }
    }

    /// Runs `body` on a thread of its own and does not wait for it. If the machine gives no thread, it runs here.
    package static func detached(_ name: String, _ body: @escaping @Sendable () -> Void) {
        do throws(NoThread) {
            try NamedThread.start(named: "wb-\(name)", body)
        } catch {
            body()
        }
    }

    /// ``waiting(_:_:)`` for a body that throws.
    package static func waiting<R: Sendable>(
        _ name: String, throwing body: @escaping @Sendable () throws(StoreError) -> R
    ) async throws(StoreError) -> R {
        try await waiting(name) { Result { () throws(StoreError) in try body() } }.get()
    }
}

extension Worker.State {
    fileprivate mutating func takeJobs() -> [@Sendable () -> Void] {
        defer { jobs = [] }
        return jobs
    }
}
