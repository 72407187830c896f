import EventLog
import Foundation

/// Times between the text that rows hold and the numbers of a database that has a type for times.
package enum DateMilliseconds {
    /// Milliseconds since 1970; nil unless the text is the very one that ``text(of:)`` gives back.
    package static func of(_ text: Span<UInt8>) -> Int64? {
        guard let date = Date(sqliteText: text), let moment = DateText(date) else { return nil }
        var canonical: [UInt8] = []
        moment.append(to: &canonical)
        return text.compared(with: canonical.span) == 0 ? moment.milliseconds : nil
    }

    /// The text of a time; nil outside of the years 0 to 9999.
    package static func text(of milliseconds: Int64) -> [UInt8]? {
        guard let moment = DateText(milliseconds: milliseconds) else { return nil }
        var text: [UInt8] = []
        moment.append(to: &text)
        return text
    }
}
