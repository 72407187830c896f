import Foundation

// Values by the meaning of their columns (``LogicalType``): a time in ISO 8601, a UUID as its text, true and false. A value
// that does not have the form of that meaning is shown as it is stored.

extension StoredValue {
    /// Text for people.
    package func text(in column: ColumnSchema) -> String { text(as: column.logicalType) }

    /// The value as JSON.
    package func json(in column: ColumnSchema) -> String { json(as: column.logicalType) }

    package func text(as logical: LogicalType?) -> String {
        switch logical {
        case .boolean: boolean.map { "\($0)" } ?? description
        case .timestamp: moment ?? description
        case .uuid: uuid ?? description
        case .decimal: decimal ?? description
        default: description
        }
    }

    package func json(as logical: LogicalType?) -> String {
        switch logical {
        case .boolean: boolean.map { "\($0)" } ?? json
        case .timestamp: moment.map { "\"\($0)\"" } ?? json
        case .uuid: uuid.map { "\"\($0)\"" } ?? json
        case .json: nestedJSON ?? json
        default: json
        }
    }

    private var boolean: Bool? {
        switch self {
        case .integer(0): false
        case .integer(1): true
        default: nil
        }
    }

    /// `YYYY-MM-DDTHH:MM:SS.SSSZ`, of seconds without the fraction.
    private var moment: String? {
        switch self {
        case .text(let text):
            guard text.utf8.count == DateText.length,
                Date(sqliteText: Array(text.utf8).span) != nil,
                text.contains(" ")
            else { return nil }
            return text.replacing(" ", with: "T") + "Z"
        case .integer(let seconds):
            guard let text = DateText(Date(timeIntervalSince1970: Double(seconds))) else {
                return nil
            }
            var bytes: [UInt8] = []
            text.append(to: &bytes)
            return String(decoding: bytes.dropLast(4), as: UTF8.self).replacing(" ", with: "T")
                + "Z"
        default: return nil
        }
    }

    private var uuid: String? {
        switch self {
        case .blob(let bytes): UUID(bytes.span)?.uuidString
        case .text(let text): UUID(uuidString: text) == nil ? nil : text
        default: nil
        }
    }

    private var decimal: String? {
        guard case .text(let text) = self, !text.isEmpty,
            text.utf8.allSatisfy({ "-.0123456789".utf8.contains($0) })
        else { return nil }
        return text
    }

    /// The text itself, to be part of the printed JSON, if it is JSON on one line.
    private var nestedJSON: String? {
        guard case .text(let text) = self, !text.utf8.contains(where: { $0 < 0x20 }),
            (try? JSONSerialization.jsonObject(
                with: Data(text.utf8), options: .fragmentsAllowed)) != nil
        else { return nil }
        return escapingControls(json: text)
    }
}

extension StoredValue {
    /// Reads a value from the text that ``text(as:)`` makes; nil if it is no such text.
    package init?(_ text: String, as logical: LogicalType, _ type: ColumnType) {
        switch (logical, type) {
        case (.boolean, .integer):
            guard ["true", "false"].contains(text) else { return nil }
            self = .integer(text == "true" ? 1 : 0)
        case (.timestamp, .text), (.timestamp, .integer):
            guard let date = Date(sqliteText: Array(text.utf8).span), let moment = DateText(date)
            else { return nil }
            if type == .integer {
                self = .integer(Int64(date.timeIntervalSince1970.rounded(.up)))
            } else {
                var bytes: [UInt8] = []
                moment.append(to: &bytes)
                self = .text(String(decoding: bytes, as: UTF8.self))
            }
        case (.uuid, .blob):
            guard let uuid = UUID(uuidString: text) else { return nil }
            self = .blob(unsafe withUnsafeBytes(of: uuid.uuid) { unsafe Array($0) })
        default: return nil
        }
    }
}
