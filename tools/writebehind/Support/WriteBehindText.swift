import EventLog
import Foundation
import WriteBehind

/// How numbers, sizes, times and names look in all commands.
enum WriteBehindText {
    /// The message of another program, for instance the database, in one line.
    static func message(_ text: String) -> String {
        escapingControls(text).split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    static func quoted(_ text: String) -> String { StoredValue.text(text).description }
    static func json(_ text: String) -> String { StoredValue.text(text).json }

    /// `1,234,567`
    static func count(_ number: UInt64) -> String {
        var digits = Array(String(number))
        var index = digits.count - 3
        while index > 0 {
            digits.insert(",", at: index)
            index -= 3
        }
        return String(digits)
    }

    static func count(_ number: Int) -> String {
        number < 0 ? "-" + count(UInt64(number.magnitude)) : count(UInt64(number))
    }

    /// `1 table`, `2 tables`
    static func counted(_ number: Int, _ noun: String) -> String {
        "\(count(number)) \(noun)" + (number == 1 ? "" : "s")
    }

    /// `999 B`, `12.3 KiB`, `4.0 GiB`
    static func bytes(_ number: Int) -> String {
        var value = Double(number)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(number) B" : fixed(value, 1) + " " + units[unit]
    }

    static func fixed(_ value: Double, _ digits: Int) -> String {
        String(format: "%.\(digits)f", value)
    }

    /// `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 20 min`, `5 d 3 h`
    static func duration(seconds: Double) -> String {
        let whole = Int(seconds)
        return switch seconds {
        case ..<1: "\(Int(seconds * 1000)) ms"
        case ..<60: fixed(seconds, 1) + " s"
        case ..<3600: "\(whole / 60) min \(whole % 60) s"
        case ..<86_400: "\(whole / 3600) h \(whole / 60 % 60) min"
        default: "\(whole / 86_400) d \(whole / 3600 % 24) h"
        }
    }

    static var now: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1000) }
}

/// Times in the reader's own zone, or in UTC.
struct Clock {
    let isUTC: Bool

    /// What ``parse(_:)`` reads.
    static let forms = "give 10:15, '2026-01-31 10:15', or how long ago: 90s, 5m, 2h, 1d"

    func offset(milliseconds: UInt64) -> Int {
        if isUTC { return 0 }
        return TimeZone.current.secondsFromGMT(
            for: Date(timeIntervalSince1970: Double(milliseconds) / 1000))
    }

    /// `2013-01-01 12:01:05.123`, with a `Z` in UTC.
    func full(_ milliseconds: UInt64) -> String {
        MomentText.text(milliseconds: milliseconds, offset: offset(milliseconds: milliseconds))
            + (isUTC ? "Z" : "")
    }

    /// Reads a moment: a date with or without time, a time of today, or how long ago (`90s`, `5m`,
    /// `2h`, `1d`).
    func parse(_ text: String) -> UInt64? {
        let now = WriteBehindText.now
        if let seconds = Self.ago(text) {
            return now - min(now, UInt64(seconds * 1000))
        }
        let isUTC = isUTC || text.hasSuffix("Z")
        let clock = Clock(isUTC: isUTC)
        let bare = text.hasSuffix("Z") ? String(text.dropLast()) : text
        let today = String(clock.full(now).prefix(10))
        for candidate in [bare, today + " " + bare] {
            guard let asUTC = MomentText.milliseconds(of: candidate) else { continue }
            // The zone's offset is that at the moment itself, up to the hour in which it changes.
            let offset = clock.offset(milliseconds: asUTC)
            return MomentText.milliseconds(of: candidate, offset: offset)
        }
        return nil
    }

    private static func ago(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last, let unit = units[last], let number = Double(text.dropLast()),
            number >= 0, number < 1e9
        else { return nil }
        return number * unit
    }
}
