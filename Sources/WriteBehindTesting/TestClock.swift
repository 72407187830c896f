import EventLog
public import Foundation
import Synchronization

/// A clock that moves only when a test advances it.
///
/// Stores in memory measure time by it: when the log is synced, when the database follows, when a row expires. Several
/// stores and the code under test may share a clock. A task can sleep by it until a test has advanced it.
///
///     let clock = TestClock()
///     let store = try Store.inMemory(clock: clock)
///     clock.advance(by: .seconds(60))
public final class TestClock: Clock, Sendable {
    /// A moment of a test clock, as the time since the clock was made.
    public struct Instant: InstantProtocol, Sendable {
        fileprivate var nanoseconds: UInt64

        public func advanced(by duration: Duration) -> Instant {
            let sum = Int64(clamping: nanoseconds).addingReportingOverflow(duration.clamped)
            return Instant(nanoseconds: UInt64(sum.overflow ? .max : max(0, sum.partialValue)))
        }

        public func duration(to other: Instant) -> Duration {
            .nanoseconds(Int64(clamping: other.nanoseconds) - Int64(clamping: nanoseconds))
        }

        public static func < (left: Instant, right: Instant) -> Bool {
            left.nanoseconds < right.nanoseconds
        }
    }

    private struct Sleeper {
        var until: UInt64
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var machines: [Weak] = []
        var sleepers: [UInt64: Sleeper] = [:]
        var lastSleeper: UInt64 = 0
    }

    private struct Weak: Sendable {
        weak let machine: SimulatedMachine?
    }

    private let start: Date
    private let nanoseconds = Atomic<UInt64>(0)
    private let state = Lock(State())
    private let turn = CallerTurn()

    /// A clock that shows `date`.
    public init(date: Date = Date(timeIntervalSince1970: 1_700_000_000)) {
        start = date
    }

    public var now: Instant { Instant(nanoseconds: elapsed) }

    /// The present date. Rows expire by it, and commits are dated with it.
    public var date: Date { start.addingTimeInterval(Double(elapsed) / 1e9) }

    public var minimumResolution: Duration { .nanoseconds(1) }

    private var elapsed: UInt64 { nanoseconds.load(ordering: .acquiring) }

    /// Suspends until the clock has been advanced to `deadline`.
    ///
    /// - Throws: `CancellationError` if the task is cancelled before.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let id = state.withLock { state in
            state.lastSleeper += 1
            return state.lastSleeper
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let sleeper = Sleeper(until: deadline.nanoseconds, continuation: continuation)
                let sleeps = state.withLock { state -> Bool in
                    guard !Task.isCancelled, elapsed < deadline.nanoseconds else { return false }
                    state.sleepers[id] = sleeper
                    return true
                }
                guard !sleeps else { return }
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    continuation.resume()
                }
            }
        } onCancel: {
            let sleeper = state.withLock { $0.sleepers.removeValue(forKey: id) }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Lets time pass: the workers of the clock's stores do all work that becomes due, in order, before this returns.
    ///
    /// Tasks that sleep until a moment in this time are woken when the clock reaches it, and go on by themselves. If the
    /// duration is longer than a minute, everything before its last minute passes in one step, as on a suspended machine.
    public func advance(by duration: Duration) {
        let end = now.advanced(by: duration).nanoseconds
        run(until: end) { false }
    }

    // MARK: for stores

    func add(_ machine: SimulatedMachine) {
        state.withLock { state in
            state.machines.removeAll { $0.machine == nil }
            state.machines.append(Weak(machine: machine))
        }
    }

    /// The last part of a long time, which passes step by step, nanoseconds.
    private static let stepped: UInt64 = 60_000_000_000

    /// Does the work that is due, then moves from one moment at which work is due to the next, until the end or `isDone`.
    func run(for nanoseconds: UInt64, until isDone: () -> Bool) {
        let (end, overflow) = elapsed.addingReportingOverflow(nanoseconds)
        run(until: overflow ? .max : end, isDone)
    }

    private func run(until end: UInt64, _ isDone: () -> Bool) {
        // If this is called within a worker's step, the workers are not stepped again.
        turn.take {
            stepAll()
            if end > Self.stepped, elapsed < end - Self.stepped, !isDone() {
                move(to: end - Self.stepped)
                stepAll()
            }
            while elapsed < end, !isDone() {
                move(to: min(end, nextMoment))
                stepAll()
            }
        }
    }

    /// Makes room for a caller that finds none: it steps all workers, or only the flusher if it is called within a worker's
    /// step.
    func makeRoom(_ flush: () -> Void) {
        if !turn.take({ stepAll() }) { flush() }
    }

    private var machines: [SimulatedMachine] {
        state.withLock { $0.machines.compactMap(\.machine) }
    }

    private func stepAll() {
        while machines.reduce(false, { $1.stepDue(at: elapsed) || $0 }) {}
    }

    private var nextMoment: UInt64 {
        let wakes = state.withLock { $0.sleepers.values.map(\.until).min() ?? .max }
        return machines.reduce(wakes) { min($0, $1.nextMoment) }
    }

    private func move(to moment: UInt64) {
        nanoseconds.store(max(moment, elapsed), ordering: .releasing)
        let woken = state.withLock { state in
            let due = state.sleepers.filter { $0.value.until <= moment }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.until, $0.key) < ($1.value.until, $1.key) }
        }
        for (_, sleeper) in woken { sleeper.continuation.resume() }
    }
}

extension TestClock: TimeSource {
    package func wallMilliseconds() -> UInt64 {
        UInt64(max(0, start.timeIntervalSince1970 * 1000)) + elapsed / 1_000_000
    }

    package func monotonicNanoseconds() -> UInt64 { elapsed }
}

extension Duration {
    fileprivate var clamped: Int64 {
        let (seconds, attoseconds) = components
        let whole = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !whole.overflow else { return seconds < 0 ? .min : .max }
        let sum = whole.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sum.overflow ? (seconds < 0 ? .min : .max) : sum.partialValue
    }
}
