/// The time by which the age of log is measured.
///
/// A clock that was set ahead for a minute would make all log old, and what is deleted does not come back. So such a clock
/// counts only once it has stood so for an hour. A clock that was set back counts at once: log is kept longer.
struct AgeClock: Sendable {
    /// For how long a clock that was set ahead must have stood so, milliseconds.
    static let patience: Int64 = 3_600_000
    /// A clock may be set ahead by less without being doubted, milliseconds.
    private static let slack: Int64 = 60_000

    /// How far the clock is ahead of the monotonic one, as believed; nil before the first look.
    private var lead: Int64?
    /// What it is ahead since it was set, and the monotonic time of that.
    private var doubted: (lead: Int64, since: Int64)?

    /// The time that counts.
    ///
    /// - Parameters:
    ///   - wall: milliseconds since 1970.
    ///   - monotonic: milliseconds since a fixed moment.
    mutating func now(wall: UInt64, monotonic: UInt64) -> UInt64 {
        let (wall, monotonic) = (Int64(clamping: wall), Int64(clamping: monotonic))
        let seen = wall - monotonic
        guard let lead, seen > lead + Self.slack else {
            (lead, doubted) = (seen, nil)
            return UInt64(wall)
        }
        if abs(seen - (doubted?.lead ?? lead)) > Self.slack { doubted = (seen, monotonic) }
        guard let doubted, monotonic - doubted.since < Self.patience else {
            (self.lead, self.doubted) = (seen, nil)
            return UInt64(wall)
        }
        return UInt64(clamping: monotonic + lead)
    }
}
