package import EventLog

/// How much of the past is kept beyond what is needed.
package struct RetentionRule: Sendable, Equatable {
    /// Good snapshots to keep; two at least.
    package var snapshots: Int
    /// Log younger than this is kept. Milliseconds.
    package var age: UInt64
    /// Log beyond this many bytes need not be as old.
    package var bytes: Int

    package init(snapshots: Int, age: UInt64, bytes: Int) {
        self.snapshots = max(2, snapshots)
        self.age = age
        self.bytes = bytes
    }
}

/// Decides what may be deleted; deletes nothing.
///
/// A segment may go only when its last sequence is at or before each of
///
/// - the oldest kept snapshot, and only while there are two good ones;
/// - the sink's watermark after a checkpoint that was synced;
/// - the record before the first quarantined one, since quarantine refers to the log;
///
/// and when it is older than the rule's age or the log exceeds the rule's bytes. Where its time lies in the future,
/// since the clock was wrong once, it is as old as the next segment that was created in the past. The log's last segment never
/// goes: it says where the log ends. Segments go oldest first, so what is left has no hole.
package struct Retention: Sendable {
    package let rule: RetentionRule

    package init(_ rule: RetentionRule) {
        self.rule = rule
    }

    /// The snapshots to keep: the newest that are not known to be bad.
    ///
    /// - Parameter sequences: ascending.
    package func kept(_ sequences: [UInt64], bad: Set<UInt64>) -> [UInt64] {
        sequences.filter { !bad.contains($0) }.suffix(rule.snapshots)
    }

    /// The snapshots to delete. Bad ones are kept: nothing is deleted because it looks bad.
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
