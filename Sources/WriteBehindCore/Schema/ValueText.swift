// Values as text for people and for tools. Control characters in a value are escaped, and so are characters that change
// the direction of text, because they could make a line look like another one.

extension StoredValue: CustomStringConvertible {
    /// Close to a SQL literal: `NULL`, `42`, `1.5`, `"text"` with escapes, `x'00ff'`.
    public var description: String {
        switch self {
        case .null: "NULL"
        case .integer(let value): "\(value)"
        case .real(let value): "\(value)"
        case .text(let value): quoted(value) { "\\u{\(String($0, radix: 16))}" }
        case .blob(let value): "x'\(hexadecimal(value))'"
        }
    }

    /// JSON: null, a number or a string; `{"blob":"00ff"}` and `{"real":"inf"}` for values that JSON does not have.
    public var json: String {
        switch self {
        case .null: "null"
        case .integer(let value): "\(value)"
        case .real(let value): value.isFinite ? "\(value)" : "{\"real\":\"\(value)\"}"
        case .text(let value): quoted(value, escape: jsonEscape)
        case .blob(let value): "{\"blob\":\"\(hexadecimal(value))\"}"
        }
    }
}

private func quoted(_ text: String, escape: (UInt32) -> String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where needsEscape(scalar): result += escape(scalar.value)
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// A message in a form that is safe on a terminal; newlines and tabs are kept. A message may quote input: paths,
/// arguments, messages of the database.
package func escapingControls(_ message: String) -> String {
    escapingControls(message) { "\\u{\(String($0, radix: 16))}" }
}

/// The same JSON in a form that is safe on a terminal.
package func escapingControls(json: String) -> String {
    escapingControls(json, jsonEscape)
}

private func escapingControls(_ message: String, _ escape: (UInt32) -> String) -> String {
    var result = ""
    for scalar in message.unicodeScalars {
        if scalar != "\n", scalar != "\t", needsEscape(scalar) {
            result += escape(scalar.value)
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Whether a character may control a terminal, or is invisible there.
package func needsEscape(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse: true
    default: false
    }
}

private func jsonEscape(_ scalar: UInt32) -> String {
    let units = String(Unicode.Scalar(scalar).map(Character.init) ?? "?").utf16
    return units.map { unit in
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }.joined()
}

/// Bytes as lower-case hexadecimal digits, two each.
package func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
        decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// The inverse of ``hexadecimal(_:)``, in either case; nil for anything else.
package func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = digits[index], let low = digits[index + 1] else { return nil }
        bytes.append(UInt8(high << 4 | low))
    }
    return bytes
}
