/// Goes through the lines of a CSV that has a header and no quotes.
struct CSVParser {
    private let bytes: [UInt8]
    private let path: String
    private var columns: [String: Int] = [:]
    private var fields: [Range<Int>] = []
    private var offset = 0
    private var line = 0

    init(_ bytes: [UInt8], path: String) throws {
        self.bytes = bytes
        self.path = path
        guard try next() else { throw problem("it is empty") }
        for (index, field) in fields.enumerated() {
            columns[String(decoding: bytes[field], as: UTF8.self)] = index
        }
    }

    /// Goes to the next line; false after the last.
    mutating func next() throws -> Bool {
        guard offset < bytes.count else { return false }
        line += 1
        fields.removeAll(keepingCapacity: true)
        var start = offset
        while offset < bytes.count, bytes[offset] != newline {
            if bytes[offset] == comma {
                fields.append(start..<offset)
                start = offset + 1
            }
            offset += 1
        }
        let end = offset > start && bytes[offset - 1] == carriageReturn ? offset - 1 : offset
        fields.append(start..<end)
        offset += 1
        guard line == 1 || fields.count == columns.count else {
            throw problem("\(fields.count) fields instead of \(columns.count)")
        }
        return true
    }

    func optionalText(_ column: String) throws -> String? {
        guard let index = columns[column] else { throw problem("there is no column \(column)") }
        let field = bytes[fields[index]]
        // R writes NA for an unknown value.
        if field.isEmpty || field.elementsEqual([0x4e, 0x41]) { return nil }
        return String(decoding: field, as: UTF8.self)
    }

    func optionalInteger(_ column: String) throws -> Int? {
        guard let text = try optionalText(column) else { return nil }
        guard let value = Int(text) else { throw problem("\(column) is \(text), not a number") }
        return value
    }

    func text(_ column: String) throws -> String {
        try known(try optionalText(column), column)
    }

    func integer(_ column: String) throws -> Int {
        try known(try optionalInteger(column), column)
    }

    private func known<T>(_ value: T?, _ column: String) throws -> T {
        guard let value else { throw problem("\(column) is missing") }
        return value
    }

    private func problem(_ what: String) -> FlightFile.Problem {
        FlightFile.Problem(description: "\(path), line \(line): \(what)")
    }
}

private let newline = UInt8(ascii: "\n")
private let comma = UInt8(ascii: ",")
private let carriageReturn = UInt8(ascii: "\r")
