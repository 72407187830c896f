import EventLog
import Foundation

/// A date as the text that GRDB stores: `YYYY-MM-DD HH:MM:SS.SSS`, in UTC.
///
/// The calendar is the Gregorian one for all years, as in SQLite's own date functions. The text
/// sorts by time, so years outside 0 to 9999 have none.
struct DateText {
    static let length = 23
    let milliseconds: Int64

    private static let millisecondsPerDay: Int64 = 86_400_000
    /// 0000-01-01 00:00:00.000 through 9999-12-31 23:59:59.999.
    private static let range: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    /// Rounds to the nearest millisecond. Cutting off would lose a millisecond each time a date is
    /// read and written again, because most thousandths have no exact binary form.
    init?(_ date: Date) {
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded()
        guard let exact = Int64(exactly: milliseconds) else { return nil }
        self.init(milliseconds: exact)
    }

    /// - Parameter milliseconds: since 1970.
    init?(milliseconds: Int64) {
        guard Self.range.contains(milliseconds) else { return nil }
        self.milliseconds = milliseconds
    }

    func append(to bytes: inout [UInt8]) {
        var days = milliseconds / Self.millisecondsPerDay
        var time = milliseconds % Self.millisecondsPerDay
        if time < 0 {
            time += Self.millisecondsPerDay
            days -= 1
        }
        let date = civilDate(days)
        bytes.append(digits: date.year / 100)
        bytes.append(digits: date.year % 100, after: nil)
        bytes.append(digits: date.month, after: UInt8(ascii: "-"))
        bytes.append(digits: date.day, after: UInt8(ascii: "-"))
        bytes.append(digits: Int(time / 3_600_000), after: UInt8(ascii: " "))
        bytes.append(digits: Int(time / 60_000 % 60), after: UInt8(ascii: ":"))
        bytes.append(digits: Int(time / 1_000 % 60), after: UInt8(ascii: ":"))
        bytes.append(digits: Int(time % 1_000 / 10), after: UInt8(ascii: "."))
        bytes.append(UInt8(ascii: "0") + UInt8(time % 10))
    }
}

extension [UInt8] {
    fileprivate mutating func append(digits number: Int, after separator: UInt8? = nil) {
        if let separator { append(separator) }
        append(UInt8(ascii: "0") + UInt8(number / 10))
        append(UInt8(ascii: "0") + UInt8(number % 10))
    }

    mutating func append(rowDate value: DateText) {
        append(ValueTag.text.rawValue)
        append(varint: UInt64(DateText.length))
        value.append(to: &self)
    }

    mutating func append(keyDate value: DateText, isLast: Bool) {
        let start = count
        value.append(to: &self)
        if !isLast { endKeyBytes(from: start) }
    }
}

extension Date {
    /// Reads `YYYY-MM-DD`, then optionally ` ` or `T` and `HH:MM`, `:SS`, and a fraction of up to
    /// nine digits, of which the first three count; then optionally `Z`.
    init?(sqliteText bytes: Span<UInt8>) {
        var text = DigitReader(bytes.count)
        guard let year = text.number(4, bytes), (0...9999).contains(year),
            text.skip("-", bytes), let month = text.number(2, bytes), (1...12).contains(month),
            text.skip("-", bytes), let day = text.number(2, bytes), (1...31).contains(day)
        else { return nil }
        var time = 0
        if !text.isAtEnd {
            guard text.skip(" ", bytes) || text.skip("T", bytes),
                let ofDay = text.timeOfDay(bytes), text.isAtEnd
            else { return nil }
            time = ofDay
        }
        let days = dayNumber(year: year, month: month, day: day)
        self.init(timeIntervalSince1970: Double(days * 86_400_000 + Int64(time)) / 1000)
    }
}

/// Walks fixed-width decimal text.
private struct DigitReader {
    private var offset = 0
    private let end: Int

    init(_ count: Int) { end = count }

    var isAtEnd: Bool { offset == end }

    mutating func skip(_ expected: Unicode.Scalar, _ bytes: Span<UInt8>) -> Bool {
        guard offset < end, bytes[offset] == UInt8(ascii: expected) else { return false }
        offset += 1
        return true
    }

    mutating func digit(_ bytes: Span<UInt8>) -> Int? {
        guard offset < end, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) else {
            return nil
        }
        offset += 1
        return Int(bytes[offset - 1] - UInt8(ascii: "0"))
    }

    mutating func number(_ count: Int, _ bytes: Span<UInt8>) -> Int? {
        var number = 0
        for _ in 0..<count {
            guard let digit = digit(bytes) else { return nil }
            number = number * 10 + digit
        }
        return number
    }

    /// Milliseconds since midnight.
    mutating func timeOfDay(_ bytes: Span<UInt8>) -> Int? {
        guard let hour = number(2, bytes), hour < 24, skip(":", bytes),
            let minute = number(2, bytes), minute < 60
        else { return nil }
        var time = (hour * 60 + minute) * 60_000
        if skip(":", bytes) {
            guard let second = number(2, bytes), second < 60 else { return nil }
            time += second * 1000
            if skip(".", bytes) {
                guard let fraction = milliseconds(bytes) else { return nil }
                time += fraction
            }
        }
        _ = skip("Z", bytes)
        return time
    }

    private mutating func milliseconds(_ bytes: Span<UInt8>) -> Int? {
        guard var value = digit(bytes) else { return nil }
        value *= 100
        for scale in [10, 1, 0, 0, 0, 0, 0, 0] {
            guard let digit = digit(bytes) else { break }
            value += digit * scale
        }
        return value
    }
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years start in March, so that the
// leap day is the last, and repeat every 400 years, 146,097 days.

/// Days since 1970-01-01 as a date; years from 0.
private func civilDate(_ days: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = Int(days) + 719_468  // since 0000-03-01
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * month + 2) / 5 + 1
    let year = yearOfEra + era * 400
    return month < 10 ? (year, month + 3, day) : (year + 1, month - 9, day)
}

/// The inverse of ``civilDate(_:)``; a day beyond its month's last runs into the next month.
private func dayNumber(year: Int, month: Int, day: Int) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return Int64(era * 146_097 + dayOfEra - 719_468)
}
