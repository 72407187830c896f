package import EventLog
import Glibc
import Synchronization

/// A thread that drives steps. The same steps also run under a simulation, without threads.
///
/// A step that throws ends the run: the worker has died. The ``Watchdog`` starts it again.
package final class Worker: Sendable {
    fileprivate struct State {
        var isRunning = false
        /// Whether a ``WorkerDriver`` makes the steps, and no thread.
        var isDriven = false
        var shouldStop = false
        var death: String?
        /// Work to be done on the thread before its next step.
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
    /// Steps begun: what does not move while there is work hangs.
    private let beats = Atomic<UInt64>(0)
    private let isStepping = Atomic<Bool>(false)

    /// - Parameter signal: raised when there may be something to do.
    /// - Parameter isBackground: whether all others go first where they compete for a processor.
    /// - Parameter polling: nanoseconds for which the signal is looked at before the thread sleeps.
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

    /// Why the worker ended without having been stopped.
    package var death: String? { state.withLock { $0.death } }

    /// Starts the thread, if none is running. Where none is to be had, that is what the worker has died of.
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

    /// Has the thread do something before its next step; false if there is no thread.
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
        // On Linux this is the thread's own. It lowers its share of the disk as well.
        if isBackground { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10) }
        state.withLock { $0.thread = pthread_self() }
        var death: String?
        do {
            while true {
                // Taken before the orders are looked at: a stop after that look raises the signal past it.
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

    /// Ends the thread after its current step, or job, and waits for it, unless this is the thread.
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
    /// How often there may have been something to do.
    package var callCount: UInt64 { signal.current }

    /// Has a ``WorkerDriver`` make the steps from now on. To be called in the place of ``start()``.
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

/// Runs one thing while another runs, and returns when both have ended.
package typealias Alongside =
    @Sendable (_ other: @escaping @Sendable () -> Void, _ body: () -> Void) -> Void

extension Worker {
    /// Runs `other` on a thread of its own while `body` runs here; after it, where no thread is to be had.
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
    /// Runs what waits for a disk, a database or another thread on a thread of its own, and suspends the caller
    /// meanwhile: a thread of Swift's pool that waits may be the one that it waits for.
    ///
    /// - Throws: ``StoreError/noResources(_:)``, with nothing done, where no thread is to be had.
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

    /// Runs `body` on a thread of its own and does not wait for it; here, where no thread is to be had.
    package static func detached(_ name: String, _ body: @escaping @Sendable () -> Void) {
        do throws(NoThread) {
            try NamedThread.start(named: "wb-\(name)", body)
        } catch {
            body()
        }
    }

    /// ``waiting(_:_:)`` for what throws.
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
