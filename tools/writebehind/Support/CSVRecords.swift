import Foundation

/// The records of a CSV file by RFC 4180; lines may end with LF alone.
struct CSVRecords {
    struct Field {
        var text: String
        var isQuoted: Bool
    }

    private let bytes: Data
    private(set) var offset: Int
    /// The line on which the last record ended, from 1.
    private(set) var line = 0

    init(_ data: Data) {
        bytes = data
        offset = data.startIndex
        if data.starts(with: [0xEF, 0xBB, 0xBF]) { offset += 3 }
    }

    /// The next line, as it is.
    mutating func nextLine() -> Data? {
        guard offset < bytes.endIndex else { return nil }
        line += 1
        let end = bytes[offset...].firstIndex(of: 0x0A) ?? bytes.endIndex
        defer { offset = min(end + 1, bytes.endIndex) }
        return bytes[offset..<end]
    }

    /// The fields of the next record; nil behind the last. Empty lines are stepped over.
    mutating func next() throws -> [Field]? {
        while offset < bytes.endIndex, bytes[offset] == 0x0A || bytes[offset] == 0x0D {
            if bytes[offset] == 0x0A { line += 1 }
            offset += 1
        }
        guard offset < bytes.endIndex else { return nil }
        line += 1
        var fields: [Field] = []
        while true {
            fields.append(try field())
            guard offset < bytes.endIndex else { return fields }
            let separator = bytes[offset]
            guard [0x2C, 0x0A, 0x0D].contains(separator) else {
                throw RowFault(line: line, reason: "text follows the closing quote of a field")
            }
            offset += 1
            if separator == 0x2C { continue }
            if separator == 0x0D, offset < bytes.endIndex, bytes[offset] == 0x0A { offset += 1 }
            return fields
        }
    }

    private mutating func field() throws -> Field {
        guard offset < bytes.endIndex, bytes[offset] == 0x22 else {
            let start = offset
            while offset < bytes.endIndex, ![0x2C, 0x0A, 0x0D].contains(bytes[offset]) {
                offset += 1
            }
            return Field(text: try text(Array(bytes[start..<offset])), isQuoted: false)
        }
        offset += 1
        var content: [UInt8] = []
        while offset < bytes.endIndex {
            let byte = bytes[offset]
            offset += 1
            if byte == 0x22 {
                guard offset < bytes.endIndex, bytes[offset] == 0x22 else {
                    return Field(text: try text(content), isQuoted: true)
                }
                offset += 1
            }
            if byte == 0x0A { line += 1 }
            content.append(byte)
        }
        throw RowFault(line: line, reason: "a quoted field is not closed")
    }

    private func text(_ bytes: [UInt8]) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RowFault(line: line, reason: "the text is not UTF-8")
        }
        return text
    }
}
