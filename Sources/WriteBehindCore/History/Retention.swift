package import EventLog

/// How much of the past is kept although nothing needs it any more.
package struct RetentionRule: Sendable, Equatable {
    /// Good snapshots to keep; two at least.
    package var snapshots: Int
    /// Log younger than this is kept. Milliseconds.
    package var age: UInt64
    /// Log beyond this many bytes may be deleted even if it is younger.
    package var bytes: Int

    package init(snapshots: Int, age: UInt64, bytes: Int) {
        self.snapshots = max(2, snapshots)
        self.age = age
        self.bytes = bytes
    }
}

/// Decides what may be deleted; deletes nothing.
///
/// A segment may be deleted only if its last sequence is at or before each of
///
/// - the oldest kept snapshot, and only while there are two good ones;
/// - the watermark of each database after a checkpoint that was synced;
/// - the record before the first quarantined one of each database, because quarantine refers to the log;
/// - the stored position of each change stream, up to its limit;
///
/// and only if it is older than the rule's age or the log exceeds the rule's bytes. If its time lies in the future,
/// because the clock was once wrong, it counts as old as the next segment that was created in the past. The log's last
/// segment is never deleted, because it shows where the log ends. The oldest segments are deleted first, so the rest has
/// no gap.
package struct Retention: Sendable {
    package let rule: RetentionRule

    package init(_ rule: RetentionRule) {
        self.rule = rule
    }

    /// The snapshots to keep: the newest of those that are not known to be bad.
    ///
    /// - Parameter sequences: ascending.
    package func kept(_ sequences: [UInt64], bad: Set<UInt64>) -> [UInt64] {
        sequences.filter { !bad.contains($0) }.suffix(rule.snapshots)
    }

    /// The snapshots to delete. A bad snapshot is never deleted.
    package func surplus(_ sequences: [UInt64], bad: Set<UInt64>) -> [UInt64] {
        sequences.filter { !bad.contains($0) }.dropLast(rule.snapshots)
    }

    /// The sequence up to which the kept snapshots replace the log; 0 while there are fewer than two.
    package func reach(ofKept kept: [UInt64]) -> UInt64 {
        kept.count >= 2 ? kept[0] : 0
    }

    /// The segments to delete, oldest first.
    ///
    /// - Parameters:
    ///   - needed: the last sequence that no follower needs from the log.
    ///   - now: milliseconds since 1970.
    package func expired(
        _ segments: [SegmentSummary], through needed: UInt64, now: UInt64
    ) -> [SegmentSummary] {
        var bytes = segments.reduce(0) { $0 + $1.byteCount }
        var expired: [SegmentSummary] = []
        for (index, segment) in segments.dropLast().enumerated() {
            guard let next = segment.nextSequence, next - 1 <= needed, let time = segment.lastTime
            else { break }
            let later = segments[(index + 1)...].lazy.map { $0.header.created / 1000 }
            let known = time <= now ? time : later.first { $0 <= now }
            let isOld = known.map { now - $0 >= rule.age } ?? false
            guard isOld || bytes > rule.bytes else { break }
            expired.append(segment)
            bytes -= segment.byteCount
        }
        return expired
    }
}
