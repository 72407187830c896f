import Glibc
import Synchronization

/// A counter that threads can wait on, because ``Lock`` has no condition variable.
///
/// `@unchecked Sendable`: the two pthread objects are made to be shared and do not move. `count` rises
/// only with `mutex` held, so a thread that begins to wait with it held misses nothing. Any thread may read it.
@safe package final class Signal: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let count = Atomic<UInt64>(0)

    package init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// How often ``raise()`` has been called. A waiter passes it to ``wait(after:nanoseconds:)``.
    package var current: UInt64 { count.load(ordering: .acquiring) }

    /// Wakes all threads that wait.
    package func raise() {
        unsafe pthread_mutex_lock(mutex)
        count.add(1, ordering: .releasing)
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Returns once the count has moved past `seen`, or the time is up. Returns the count.
    ///
    /// - Parameter nanoseconds: how long to wait at most; nil waits for ever.
    @discardableResult
    package func wait(after seen: UInt64, nanoseconds: UInt64? = nil) -> UInt64 {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        guard let nanoseconds else {
            while current <= seen { unsafe pthread_cond_wait(condition, mutex) }
            return current
        }
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let (seconds, rest) = min(nanoseconds, 1 << 60).quotientAndRemainder(
            dividingBy: 1_000_000_000)
        deadline.tv_sec += Int(seconds)
        deadline.tv_nsec += Int(rest)
        if deadline.tv_nsec >= 1_000_000_000 {
            deadline.tv_nsec -= 1_000_000_000
            deadline.tv_sec += 1
        }
        while current <= seen {
            if unsafe pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { break }
        }
        return current
    }

    /// Checks again and again for this long whether the count has moved past `seen`, and lets other threads run in
    /// between. For a thread that expects work soon: waking a thread that sleeps takes 20 to 50 µs.
    package func poll(after seen: UInt64, nanoseconds: UInt64) {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        let end = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec) + nanoseconds
        while current <= seen {
            sched_yield()
            unsafe clock_gettime(CLOCK_MONOTONIC, &now)
            if UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec) >= end { return }
        }
    }
}
