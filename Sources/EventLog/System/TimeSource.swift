import Glibc

/// The source of time; tests use their own.
package protocol TimeSource: Sendable {
    /// Milliseconds since 1970, as of the last tick of a clock that costs next to nothing. It may jump; the log makes sure
    /// that its times never decrease.
    func wallMilliseconds() -> UInt64
    /// Milliseconds since 1970 that are not before this moment: rounded up.
    func wallMillisecondsNow() -> UInt64
    /// Nanoseconds since some fixed moment; never decreases.
    func monotonicNanoseconds() -> UInt64
}

extension TimeSource {
    package func wallMillisecondsNow() -> UInt64 { wallMilliseconds() }
}

/// Decides which commits get the time of the exact clock, because not every put can afford to read it.
///
/// Reading it costs 22 ns. The clock that moves with the kernel's ticks (1 to 4 ms) costs 5 ns, and a put 280 ns. So the
/// first puts of a tick are timed exactly, and one of 32 of those that follow. All others get the last exact time.
package struct CommitClock: Sendable {
    static let exactPerTick: UInt32 = 256
    /// A power of 2.
    static let exactOneOf: UInt32 = 32
    private var tick: UInt64 = 0
    private var count: UInt32 = 0

    package init() {}

    /// Whether the commit that is being made must be timed exactly.
    @inline(__always)
    package mutating func isExact(at tick: UInt64) -> Bool {
        if tick != self.tick {
            self.tick = tick
            count = 0
        }
        count &+= 1
        return count <= Self.exactPerTick || count & (Self.exactOneOf - 1) == 0
    }
}

/// The machine's clocks.
package struct SystemTime: TimeSource {
    package init() {}

    package func wallMilliseconds() -> UInt64 {
        let time = Self.read(CLOCK_REALTIME_COARSE)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    package func wallMillisecondsNow() -> UInt64 {
        let time = Self.read(CLOCK_REALTIME)
        return UInt64(time.tv_sec) * 1000 + (UInt64(time.tv_nsec) + 999_999) / 1_000_000
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
