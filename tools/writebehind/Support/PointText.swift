import ArgumentParser
import EventLog
import WriteBehind

/// A point of the log as it is typed: a sequence, a time, a mark, or `end`.
enum PointText {
    static func parse(_ text: String, _ clock: Clock) -> LogPoint {
        if text == "end" { return .end }
        let digits = text.hasPrefix("#") ? text.dropFirst() : Substring(text)
        if let sequence = UInt64(digits) { return .sequence(sequence) }
        if text.hasPrefix("mark:") { return .mark(String(text.dropFirst(5))) }
        if let time = clock.parse(text) { return .time(time) }
        return .mark(text)
    }
}
