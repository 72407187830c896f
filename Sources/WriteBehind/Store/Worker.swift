package import EventLog
import Foundation
import Synchronization

/// A thread that drives steps. Threads exist here and nowhere else; what they drive also runs under a
/// simulation, without them.
///
/// A step that throws ends the run: the worker has died. The ``Watchdog`` starts it again.
package final class Worker: Sendable {
    package enum Next: Sendable {
        case stepAgain
        case wait(nanoseconds: UInt64?)
    }

    private struct State {
        var isRunning = false
        var shouldStop = false
        var death: String?
    }

    let name: String
    private let signal: Signal
    private let isBackground: Bool
    private let polling: UInt64
    private let step: @Sendable () throws -> Next
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
        step: @escaping @Sendable () throws -> Next
    ) {
        self.name = name
        self.isBackground = isBackground
        self.polling = polling
        self.signal = signal
        self.step = step
    }

    package var heartbeat: (beats: UInt64, isStepping: Bool) {
        (beats.load(ordering: .relaxed), isStepping.load(ordering: .relaxed))
    }

    /// Why the worker ended without having been stopped.
    var death: String? { state.withLock { $0.death } }

    /// Starts the thread, if none is running.
    package func start() {
        let mayStart = state.withLock { state in
            guard !state.isRunning, !state.shouldStop else { return false }
            state.isRunning = true
            state.death = nil
            return true
        }
        guard mayStart else { return }
        Thread.start(named: "wb-\(name)") { self.run() }
    }

    private func run() {
        // On Linux this is the thread's own. It lowers its share of the disk as well.
        if isBackground { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10) }
        var death: String?
        do {
            while true {
                // Taken before the orders are looked at: a stop after that look raises the signal past it.
                let ticket = signal.current
                if state.withLock({ $0.shouldStop }) { break }
                beats.add(1, ordering: .relaxed)
                isStepping.store(true, ordering: .relaxed)
                let next = try step()
                isStepping.store(false, ordering: .relaxed)
                if case .wait(let nanoseconds) = next {
                    if polling > 0 { signal.poll(after: ticket, nanoseconds: polling) }
                    signal.wait(after: ticket, nanoseconds: nanoseconds)
                }
            }
        } catch {
            isStepping.store(false, ordering: .relaxed)
            death = "\(error)"
        }
        state.withLock {
            $0.isRunning = false
            $0.death = death
        }
        finished.raise()
    }

    /// Ends the thread after its current step and waits for it.
    package func stop() {
        let ticket = finished.current
        let isRunning = state.withLock { state in
            state.shouldStop = true
            return state.isRunning
        }
        signal.raise()
        if isRunning { finished.wait(after: ticket) }
    }
}

/// Runs one thing while another runs, and returns when both have ended.
package typealias Alongside =
    @Sendable (_ other: @escaping @Sendable () -> Void, _ body: () -> Void) -> Void

extension Worker {
    /// Runs `other` on a thread of its own while `body` runs here.
    @Sendable package static func alongside(
        _ other: @escaping @Sendable () -> Void, _ body: () -> Void
    ) {
        let done = Signal()
        Thread.start(named: "wb-ahead") {
            other()
            done.raise()
        }
        body()
        done.wait(after: 0)
    }
}

extension Worker {
    /// Runs what waits for a disk, a database or another thread on a thread of its own, and suspends the caller
    /// meanwhile: a thread of Swift's pool that waits may be the one that it waits for.
    package static func waiting<R: Sendable>(
        _ name: String, _ body: @escaping @Sendable () -> R
    ) async -> R {
        await withCheckedContinuation { continuation in
            Thread.start(named: "wb-\(name)") { continuation.resume(returning: body()) }
        }
    }

    /// ``waiting(_:_:)`` for what throws.
    package static func waiting<R: Sendable, E: Error>(
        _ name: String, throwing body: @escaping @Sendable () throws(E) -> R
    ) async throws(E) -> R {
        let result = await waiting(name) { () -> Result<R, E> in
            do throws(E) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

extension Thread {
    /// Starts a thread under a name that `top -H` shows. The kernel learns it only from the thread itself.
    fileprivate static func start(named name: String, _ body: @escaping @Sendable () -> Void) {
        Thread {
            Thread.current.name = name
            body()
        }
        .start()
    }
}
