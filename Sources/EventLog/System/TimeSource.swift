import Glibc

/// Where time comes from; tests put their own in its place.
package protocol TimeSource: Sendable {
    /// Milliseconds since 1970. May jump; the log never lets its times decrease.
    func wallMilliseconds() -> UInt64
    /// Nanoseconds since some fixed moment; never decreases.
    func monotonicNanoseconds() -> UInt64
}

/// The machine's clocks, at the kernel's tick (1 to 4 ms), which a put can afford to read.
package struct SystemTime: TimeSource {
    package init() {}

    package func wallMilliseconds() -> UInt64 {
        let time = Self.read(CLOCK_REALTIME_COARSE)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    package func monotonicNanoseconds() -> UInt64 {
        let time = Self.read(CLOCK_MONOTONIC)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        unsafe clock_gettime(clock, &time)  // cannot fail for these clocks
        return time
    }
}
