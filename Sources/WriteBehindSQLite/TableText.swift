/// The text of a CREATE TABLE statement, in parts. It is needed because SQLite has no statement that changes the type of a
/// column, or that makes a column nullable.
///
/// SQLite's documentation ("Making Other Kinds Of Table Schema Changes") says to change the text itself if the rows stay
/// as they are. Only columns that the store declared are replaced, each as a whole; columns that users added stay.
struct TableText {
    /// The text through the opening parenthesis.
    private var head: [UInt8]
    /// The parts between the commas.
    private var items: [[UInt8]] = []
    /// The text from the closing parenthesis on.
    private var tail: [UInt8] = []

    /// - Returns: nil if the text is not a CREATE TABLE statement.
    init?(_ sql: String) {
        let bytes = Array(sql.utf8)
        guard let open = Self.places(in: bytes).first(where: { $0.byte == UInt8(ascii: "(") })
        else { return nil }
        head = Array(bytes[...open.index])
        var depth = 0
        var start = open.index + 1
        for (index, byte) in Self.places(in: bytes) where index > open.index {
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")") where depth > 0: depth -= 1
            case UInt8(ascii: ","), UInt8(ascii: ")"):
                guard depth == 0 else { continue }
                items.append(Array(bytes[start..<index]))
                start = index + 1
                guard byte == UInt8(ascii: ")") else { continue }
                tail = Array(bytes[index...])
                return
            default: break
            }
        }
        return nil
    }

    var sql: String {
        let body = items.joined(separator: [UInt8(ascii: ",")])
        return String(decoding: head + body + tail, as: UTF8.self)
    }

    /// Replaces the declaration of a column; false if there is no column with that name.
    mutating func declare(_ name: String, as declaration: String) -> Bool {
        let wanted = Array(name.utf8)
        guard let index = items.firstIndex(where: { Self.name(of: $0) == wanted }) else {
            return false
        }
        let blank = items[index].prefix { $0 == 0x20 || $0 == 0x0A }
        items[index] = Array(blank) + Array(declaration.utf8)
        return true
    }

    /// Replaces what is behind the columns, such as `STRICT`.
    mutating func setOptions(_ options: String) {
        tail = Array(")\(options.isEmpty ? "" : " " + options)".utf8)
    }

    /// The name that an item begins with.
    private static func name(of item: [UInt8]) -> [UInt8]? {
        let text = item.drop { $0 == 0x20 || $0 == 0x0A }
        guard let first = text.first else { return nil }
        guard first == UInt8(ascii: "\"") else {
            return Array(text.prefix { $0 != 0x20 && $0 != 0x0A })
        }
        var name: [UInt8] = []
        var rest = text.dropFirst()
        while let byte = rest.popFirst() {
            if byte == first {
                guard rest.first == first else { return name }
                rest.removeFirst()
            }
            name.append(byte)
        }
        return nil
    }

    /// The bytes that are outside of quotes and comments.
    private static func places(in bytes: [UInt8]) -> [(index: Int, byte: UInt8)] {
        var places: [(index: Int, byte: UInt8)] = []
        var index = 0
        /// Moves behind the next occurrence of these bytes.
        func skip(behind end: [UInt8]) {
            while index < bytes.count, !bytes[index...].starts(with: end) { index += 1 }
            index += end.count
        }
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            // A quote in quotes is written twice, and so ends one piece and begins another.
            case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"): skip(behind: [byte])
            case UInt8(ascii: "["): skip(behind: [UInt8(ascii: "]")])
            case UInt8(ascii: "-") where bytes[index...].first == byte: skip(behind: [0x0A])
            case UInt8(ascii: "/") where bytes[index...].first == UInt8(ascii: "*"):
                skip(behind: Array("*/".utf8))
            default: places.append((index - 1, byte))
            }
        }
        return places
    }
}
