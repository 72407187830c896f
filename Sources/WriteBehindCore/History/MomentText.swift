import Foundation

/// A moment of the log as text.
package enum MomentText {
    /// `YYYY-MM-DD HH:MM:SS.SSS`; beyond year 9999 the bare number of milliseconds.
    ///
    /// - Parameters:
    ///   - milliseconds: since 1970.
    ///   - offset: of the time zone, seconds east of Greenwich.
    package static func text(milliseconds: UInt64, offset: Int = 0) -> String {
        let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000 + Double(offset))
        guard let text = DateText(date) else { return "\(milliseconds)ms" }
        var bytes: [UInt8] = []
        text.append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `YYYY-MM-DDTHH:MM:SS.SSSZ`.
    package static func iso(milliseconds: UInt64) -> String {
        text(milliseconds: milliseconds).replacing(" ", with: "T") + "Z"
    }

    /// Milliseconds since 1970 of a date as ``text(milliseconds:offset:)`` writes it, or shorter.
    package static func milliseconds(of text: String, offset: Int = 0) -> UInt64? {
        let bytes = Array(text.utf8)
        guard let date = Date(sqliteText: bytes.span) else { return nil }
        let seconds = date.timeIntervalSince1970 - Double(offset)
        return seconds >= 0 ? UInt64((seconds * 1000).rounded()) : nil
    }
}
