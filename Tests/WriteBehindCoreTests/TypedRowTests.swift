import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore

/// A column of every kind.
struct Sample: TableRow, Hashable {
    struct Key: RowKey, Hashable {
        var id: UUID, day: Date, name: String, last: [UInt8]

        init(id: UUID, day: Date, name: String, last: [UInt8]) {
            (self.id, self.day, self.name, self.last) = (id, day, name, last)
        }

        init(from decoder: inout RowDecoder) throws {
            id = try decoder.decode()
            day = try decoder.decode()
            name = try decoder.decode()
            last = try decoder.decode()
        }

        func encode(to encoder: inout KeyEncoder) {
            encoder.encode(id)
            encoder.encode(day)
            encoder.encode(name)
            encoder.encode(last)
        }
    }

    static let schema = TableSchema(
        "sample",
        [
            .key("id", .blob), .column("count", .integer), .key("day", .text),
            .column("ratio", .real, nullable: true), .key("name", .text), .key("last", .blob),
            .column("note", .text, nullable: true), .column("flag", .integer, nullable: true),
            .column("seen", .text, nullable: true), .column("other", .blob, nullable: true),
            .column("raw", .blob, default: .blob([7])),
        ])

    var id = UUID(), count = 1, day = Date(timeIntervalSince1970: 86_400), ratio: Double? = 2.5
    var name = "a\0b", last: [UInt8] = [0, 1], note: String? = "ü", flag: Bool? = true
    var seen: Date? = Date(timeIntervalSince1970: 0.125), other: UUID?, raw: [UInt8] = [7]

    init() {}

    var key: Key { Key(id: id, day: day, name: name, last: last) }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(count)
        encoder.encode(day)
        encoder.encode(ratio)
        encoder.encode(name)
        encoder.encode(last)
        encoder.encode(note)
        encoder.encode(flag)
        encoder.encode(seen)
        encoder.encode(other)
        encoder.encode(raw)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        count = try decoder.decode()
        day = try decoder.decode()
        ratio = try decoder.decode()
        name = try decoder.decode()
        last = try decoder.decode()
        note = try decoder.decode(String?.self)
        flag = try decoder.decode()
        seen = try decoder.decode()
        other = try decoder.decode()
        raw = try decoder.decode()
    }
}

/// Writes any bytes that a test wants, right or wrong.
struct Misfit: TableRow {
    enum Cell: Sendable {
        case null
        case integer(Int)
        case real(Double)
        case text(String)
        case date(Date)
    }

    typealias Key = String

    static let schema = TableSchema(
        "misfit", [.key("k", .text), .column("i", .integer), .column("r", .real)])

    var cells: [Cell] = []

    init(_ cells: [Cell]) { self.cells = cells }

    func encode(to encoder: inout RowEncoder) {
        for cell in cells {
            switch cell {
            case .null: encoder.encodeNull()
            case .integer(let value): encoder.encode(value)
            case .real(let value): encoder.encode(value)
            case .text(let value): encoder.encode(value)
            case .date(let value): encoder.encode(value)
            }
        }
    }

    init(from decoder: inout RowDecoder) throws { _ = try decoder.decode(String.self) }
}

@Suite struct TypedRowTests {
    static let layout = RowLayout(Sample.schema)

    @Test func aRowReadsBackAsItself() throws {
        var encoder = RowEncoder(Self.layout)
        var empty = Sample()
        (empty.ratio, empty.note, empty.flag, empty.seen) = (nil, nil, nil, nil)
        (empty.name, empty.last, empty.raw) = ("", [], [])
        for sample in [Sample(), empty, Sample()] {
            try encoder.encode(row: sample)
            let decoded = try RowDecoder.decode(
                Sample.self, key: encoder.key.span, row: encoder.row.span, Self.layout)
            #expect(decoded == sample)
        }
    }

    @Test func aTypedRowIsTheBytesOfItsValues() throws {
        var encoder = RowEncoder(Self.layout)
        let sample = Sample()
        try encoder.encode(row: sample)
        let values = try RowCodec.decode(
            key: encoder.key.span, row: encoder.row.span, Sample.schema)
        #expect(values[2] == .text("1970-01-02 00:00:00.000"))
        #expect(
            values[6...] == [
                .text("ü"), .integer(1), .text("1970-01-01 00:00:00.125"), .null, .blob([7]),
            ])
        let (key, row) = try RowCodec.encode(values, Sample.schema)
        #expect(encoder.key == key)
        #expect(encoder.row == row)
    }

    @Test func aKeyAloneIsTheKeyOfItsRow() throws {
        var rows = RowEncoder(Self.layout)
        var keys = KeyEncoder(Self.layout)
        let sample = Sample()
        try rows.encode(row: sample)
        try keys.encode(key: sample.key)
        #expect(rows.key == keys.key)
    }

    @Test func columnsAddedSinceAreDefaults() throws {
        var encoder = RowEncoder(Self.layout)
        try encoder.encode(row: Sample())
        let row = [6] + encoder.row.dropFirst().dropLast(3)
        let decoded = try RowDecoder.decode(
            Sample.self, key: encoder.key.span, row: row.span, Self.layout)
        #expect(decoded.raw == [7])
    }

    @Test(
        arguments: [
            ("too few", [.text("k")], nil, .wrongColumnCount(expected: 3, got: 1)),
            (
                "too many", [.text("k"), .integer(1), .real(1.5), .null], nil,
                .wrongColumnCount(expected: 3, got: 4)
            ),
            (
                "another type", [.text("k"), .text("x"), .integer(1)], "i",
                .wrongType(expected: .integer, got: .text)
            ),
            ("null in the key", [.null, .integer(1), .real(1.5)], "k", .unexpectedNull),
            ("NaN", [.text("k"), .integer(1), .real(.nan)], "r", .notANumber),
            (
                "an impossible date",
                [.date(Date(timeIntervalSince1970: 1e12)), .integer(1), .real(1.5)], "k",
                .dateOutOfRange
            ),
            (
                "too long a key",
                [.text(String(repeating: "k", count: 65_536)), .integer(1), .real(1.5)], nil,
                .keyTooLong(bytes: 65_536, limit: 65_535)
            ),
        ] as [(String, [Misfit.Cell], String?, RowError.Problem)])
    func aMistakeIsThrownAtTheEndWithItsColumn(
        what: String, cells: [Misfit.Cell], column: String?, problem: RowError.Problem
    ) throws {
        var encoder = RowEncoder(RowLayout(Misfit.schema))
        let error = try #require(throws: RowError.self) { try encoder.encode(row: Misfit(cells)) }
        #expect(error == RowError(table: "misfit", column: column, problem))
        try encoder.encode(row: Misfit([.text("k"), .integer(1), .real(1.5)]))
    }

    @Test func aKeyOfAnotherShapeIsRefused() {
        var encoder = KeyEncoder(RowLayout(Misfit.schema))
        #expect(
            throws: RowError(
                table: "misfit", column: "k", .wrongType(expected: .text, got: .integer))
        ) {
            try encoder.encode(key: 1)
        }
        var composite = KeyEncoder(RowLayout(SchemaTests.flight))
        #expect(throws: RowError(table: "flight", .wrongColumnCount(expected: 2, got: 1))) {
            try composite.encode(key: "2026-11-23")
        }
    }

    @Test func aDecoderThatStopsEarlyIsAMistake() {
        let row: [UInt8] = [2, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(throws: RowError(table: "misfit", .wrongColumnCount(expected: 3, got: 1))) {
            try RowDecoder.decode(
                Misfit.self, key: row.span, row: row.span, RowLayout(Misfit.schema))
        }
    }

    @Test func damagedRowsNeverTrap() throws {
        var random = SeededRandom(seed: KeyCodecTests.seed)
        var encoder = RowEncoder(Self.layout)
        try encoder.encode(row: Sample())
        let (key, row) = (encoder.key, encoder.row)
        for _ in 0..<20_000 {
            var (badKey, badRow) = (key, row)
            badKey[Int(random.next() % UInt64(key.count))] = UInt8(
                truncatingIfNeeded: random.next())
            badRow[Int(random.next() % UInt64(row.count))] = UInt8(
                truncatingIfNeeded: random.next())
            badKey.removeLast(Int(random.next() % 3))
            _ = try? RowDecoder.decode(Sample.self, key: badKey.span, row: badRow.span, Self.layout)
        }
    }

    @Test func aKeyValueRowIsATextAndBytes() throws {
        let layout = RowLayout(KeyValue.schema)
        var encoder = RowEncoder(layout)
        let pair = KeyValue(key: "k", value: [1, 2])
        try encoder.encode(row: pair)
        #expect(encoder.key == [107])
        #expect(encoder.row == [1, 4, 2, 1, 2])
        #expect(
            try RowDecoder.decode(
                KeyValue.self, key: encoder.key.span, row: encoder.row.span, layout) == pair)
    }
}
