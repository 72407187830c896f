import TestSupport
import WriteBehind

/// Makes schemas and values that lie at the edges of what may be written, the same for the same seed.
struct EdgeSchemas {
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    private static let names: [String] = [
        "a", "A", "select", "table", "group", "index", "rowid", "oid", "_rowid_", "excluded", "new",
        "old", "main", "temp", "true", "null", "default", "current_timestamp", "strict", "sqlite",
        "without", "a\"b", "a'b", "\"", "'", "[a]", "`a`", "a;b", "--", "/*", "a b", " a", "a ",
        ".", "a.b", "%", "?", "?1", ":a", "@a", "$a", "\\", "\n", "\t", "\u{1}", "\u{7F}", "é",
        "e\u{301}", "İ", "ß", "🛫", "\u{200F}x", "\u{FEFF}", "\u{FFFD}", "json_each", "dbstat",
        "pragma_table_info", String(repeating: "x", count: 63), String(repeating: "y", count: 64),
        String(repeating: "z", count: 255), String(repeating: "ü", count: 127) + "x",
        // None of these is accepted.
        String(repeating: "z", count: 256), "", "a\0b", "sqlite_a", "SQLITE_b", "_writebehind_x",
    ]

    /// Some accepted, some not: what a store says of them is not decided here.
    mutating func schema() -> TableSchema {
        let count = [1, 2, 3, 3, 4, 5, 8, 20, 64, 65].randomElement(using: &random) ?? 1
        let columns = (0..<count).map { index -> ColumnSchema in
            let name = name(index)
            if index == 0 || chance(20) { return .key(name, type()) }
            return column(name)
        }
        return TableSchema(name(nil), columns)
    }

    /// The same with one column more, or a few, as a later version may have.
    mutating func extended(_ schema: TableSchema) -> TableSchema {
        let count = number(1...3)
        let added = (0..<count).map { index -> ColumnSchema in
            let name = name(schema.columns.count + index)
            let type = type()
            return .column(name, type, nullable: chance(50), default: finite(type))
        }
        return TableSchema(schema.name, schema.columns + added)
    }

    private mutating func column(_ name: String) -> ColumnSchema {
        let type = type()
        return .column(
            name, type, nullable: chance(50), default: chance(30) ? finite(type) : nil)
    }

    private mutating func name(_ index: Int?) -> String {
        let name = Self.names.randomElement(using: &random) ?? "a"
        guard let index, chance(95) else { return name }
        // Different ones, most of them; what is too long stays so.
        return name.utf8.count > 200 || name.isEmpty ? name + "\(index)" : "\(index)" + name
    }

    private mutating func type() -> ColumnType {
        ColumnType.allCases.randomElement(using: &random) ?? .integer
    }

    // MARK: values

    mutating func row(_ schema: TableSchema) -> [StoredValue] { schema.columns.map { value($0) } }

    mutating func value(_ column: ColumnSchema) -> StoredValue {
        column.isNullable && chance(20) ? .null : value(column.type)
    }

    /// A default: NaN and infinities are none.
    private mutating func finite(_ type: ColumnType) -> StoredValue {
        let value = value(type)
        if case .real(let number) = value, !number.isFinite { return .real(0) }
        return value
    }

    private mutating func value(_ type: ColumnType) -> StoredValue {
        switch type {
        case .integer: .integer(integer())
        case .real: .real(real())
        case .text: .text(text())
        case .blob: .blob(blob())
        }
    }

    private mutating func integer() -> Int64 {
        let edges: [Int64] = [
            .min, .min + 1, -(1 << 53) - 1, -(1 << 32), -(1 << 31), -129, -128, -65, -64, -1, 0, 1,
            63, 64, 127, 128, 255, 256, 1 << 31, 1 << 32, 1 << 53, (1 << 53) + 1, .max - 1, .max,
        ]
        return edges.randomElement(using: &random) ?? 0
    }

    private mutating func real() -> Double {
        let edges: [Double] = [
            0, -0.0, 1, -1, 0.1, 1.0 / 3, .pi, 1e15, 1e16, 1e300, 1e-290, 1e-300, 0x1p53, 0x1p63,
            -0x1p63, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNormalMagnitude,
            .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .infinity, -.infinity,
        ]
        if chance(2) { return .nan }
        if chance(50) { return Double(bitPattern: random.next() & ~(1 << 62)) }
        return edges.randomElement(using: &random) ?? 0
    }

    private mutating func text() -> String {
        let edges = [
            "", "a", "\0", "\0\0", "a\0b", "a\0", "\u{1}", "'", "\"", "''", "1", "1.0", " 1", "0x1",
            "1e5", "null", "é", "e\u{301}", "🛫", "\u{FEFF}", "\u{FFFD}", "\u{10FFFF}", "\u{D7FF}",
            "\u{E000}", "\u{2028}", "%s", "?1", String(repeating: "x", count: 5000),
        ]
        return edges.randomElement(using: &random) ?? ""
    }

    private mutating func blob() -> [UInt8] {
        let edges: [[UInt8]] = [
            [], [0], [0, 0], [0, 255], [255], [255, 255], Array(0...255),
            [UInt8](repeating: 0, count: 4096),
        ]
        return edges.randomElement(using: &random) ?? []
    }

    // MARK: choices

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &random)
    }

    mutating func chance(_ percent: Int) -> Bool { number(0...99) < percent }
}
