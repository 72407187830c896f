import EventLog
import Glibc
import Synchronization
import Testing
import WriteBehindCore

@Suite struct WorkerTests {
    /// A stop between the worker's look at its orders and its wait was once never heard, and `close` waited
    /// for ever.
    @Test func aStopIsHeardWheneverItComes() async {
        let stopped = Atomic<Int>(0)
        let count = 20_000
        let stopper = Worker("stopper", signal: Signal()) {
            for round in 0..<count {
                let signal = Signal()
                let idle = Worker("idle", signal: signal) { .wait(nanoseconds: nil) }
                idle.start()
                while idle.heartbeat.beats == 0 { sched_yield() }
                signal.raise()  // It wakes and looks at its orders, while they change.
                for _ in 0..<round % 500 { _ = idle.heartbeat }
                idle.stop()
                stopped.add(1, ordering: .relaxed)
            }
            throw StoreError.closed("all were stopped")
        }
        stopper.start()
        var last = -1
        while stopped.load(ordering: .relaxed) < count {
            let now = stopped.load(ordering: .relaxed)
            guard now > last else {
                Issue.record("worker \(now) was not stopped within a minute")
                return
            }
            last = now
            for _ in 0..<600 where stopped.load(ordering: .relaxed) == now {
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
