import EventLog
import Glibc
import TestSupport
import Testing

@Suite struct SignalTests {
    @Test func aWaiterWhoMissedTheRaiseDoesNotWait() {
        let signal = Signal()
        let seen = signal.current
        signal.raise()
        #expect(signal.wait(after: seen) == seen + 1)
    }

    @Test func aWaitEndsWhenItsTimeIsUp() {
        let signal = Signal()
        let time = SystemTime()
        let start = time.monotonicNanoseconds()
        #expect(signal.wait(after: signal.current, nanoseconds: 5_000_000) == 0)
        #expect(time.monotonicNanoseconds() - start >= 5_000_000)
    }

    @Test func aRaiseWakesAllWaiters() {
        let signal = Signal()
        let woken = Locked(0)
        let threads = (0..<4).map { _ in
            TestThread {
                signal.wait(after: 0)
                woken.withLock { $0 += 1 }
            }
        }
        usleep(2000)
        signal.raise()
        for thread in threads { thread.join() }
        #expect(woken.withLock { $0 } == 4)
    }
}

/// A thread that runs a closure.
final class TestThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private var thread = pthread_t()

    init(_ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run)).toOpaque()
        let result = pthread_create(
            &thread, nil,
            { argument in
                // The argument is what was handed to pthread_create, which is never nil.
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body)
        precondition(result == 0, "the test needs a thread")
    }

    func join() { pthread_join(thread, nil) }
}
