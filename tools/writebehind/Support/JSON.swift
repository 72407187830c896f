import WriteBehind
import WriteBehindInspection

/// JSON whose keys are written in the given order.
enum JSON {
    case raw(String)
    case object([(String, JSON)])
    case array([JSON])

    static let null = JSON.raw("null")
    static func string(_ text: String) -> JSON { .raw(StoredValue.text(text).json) }
    static func number(_ value: some BinaryInteger) -> JSON { .raw("\(value)") }
    static func number(_ value: Double) -> JSON { value.isFinite ? .raw("\(value)") : .null }
    static func bool(_ value: Bool) -> JSON { .raw(value ? "true" : "false") }
    /// A value in the form of its column's logical type.
    static func value(_ value: StoredValue, _ logicalType: LogicalType?) -> JSON {
        .raw(value.json(as: logicalType))
    }
    static func value(_ value: ShownValue, _ logicalType: LogicalType?) -> JSON {
        .raw(value.json(as: logicalType))
    }
    static func optional<T>(_ value: T?, _ form: (T) -> JSON) -> JSON { value.map(form) ?? .null }
    /// Moments are ISO 8601 in UTC with milliseconds.
    static func time(_ milliseconds: UInt64) -> JSON {
        .raw("\"\(MomentText.iso(milliseconds: milliseconds))\"")
    }

    /// On one line.
    var text: String {
        switch self {
        case .raw(let text): text
        case .object(let fields):
            "{" + fields.map { "\(StoredValue.text($0).json):\($1.text)" }.joined(separator: ",")
                + "}"
        case .array(let items): "[" + items.map(\.text).joined(separator: ",") + "]"
        }
    }
}
