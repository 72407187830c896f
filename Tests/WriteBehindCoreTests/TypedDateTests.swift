import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore

/// One date, UUID and boolean, stored as GRDB stores them.
struct Stamp: TableRow {
    typealias Key = Int

    static let schema = TableSchema(
        "stamp",
        [
            .key("id", .integer), .column("at", .text), .column("uuid", .blob),
            .column("on", .integer),
        ])

    var at: Date, uuid = UUID(), on = true

    init(at: Date) { self.at = at }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(1)
        encoder.encode(at)
        encoder.encode(uuid)
        encoder.encode(on)
    }

    init(from decoder: inout RowDecoder) throws {
        _ = try decoder.decode(Int.self)
        at = try decoder.decode()
        uuid = try decoder.decode()
        on = try decoder.decode()
    }
}

@Suite struct TypedDateTests {
    static func values(_ stamp: Stamp) throws -> [StoredValue] {
        var encoder = RowEncoder(RowLayout(Stamp.schema))
        try encoder.encode(row: stamp)
        return try RowCodec.decodeRow(encoder.row.span, Stamp.schema)
    }

    static func stamp(_ values: [StoredValue]) throws -> Stamp {
        let (key, row) = try RowCodec.encode([.integer(1)] + values, Stamp.schema)
        return try RowDecoder.decode(
            Stamp.self, key: key.span, row: row.span, RowLayout(Stamp.schema))
    }

    @Test(arguments: [
        (0, "1970-01-01 00:00:00.000"), (-0.001, "1969-12-31 23:59:59.999"),
        (951_782_400, "2000-02-29 00:00:00.000"), (4_107_542_400, "2100-03-01 00:00:00.000"),
        (-62_167_219_200, "0000-01-01 00:00:00.000"),
        (253_402_300_799.999, "9999-12-31 23:59:59.999"), (0.0004, "1970-01-01 00:00:00.000"),
    ])
    func aDateIsThisText(seconds: Double, text: String) throws {
        let values = try Self.values(Stamp(at: Date(timeIntervalSince1970: seconds)))
        #expect(values[0] == .text(text))
        let date = try Self.stamp(values).at
        #expect(abs(date.timeIntervalSince1970 - seconds) <= 0.0005)
    }

    @Test func aDateReadAndWrittenIsTheSameText() throws {
        var random = SeededRandom(seed: KeyCodecTests.seed)
        for _ in 0..<2_000 {
            let milliseconds = Int64.random(
                in: -62_167_219_200_000...253_402_300_799_999, using: &random)
            let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
            let values = try Self.values(Stamp(at: date))
            #expect(try Self.values(Self.stamp(values))[0] == values[0], "\(milliseconds)")
        }
    }

    @Test func eachSideReadsWhatTheOtherWrites() throws {
        var random = SeededRandom(seed: KeyCodecTests.seed)
        for _ in 0..<500 {
            // From 1600 on: Foundation's calendar is the Julian one before 1582.
            let seconds =
                Double(Int64.random(in: -11_000_000_000_000...200_000_000_000_000, using: &random))
                / 1000
            let stamp = Stamp(at: Date(timeIntervalSince1970: seconds))
            let values = try Self.values(stamp)
            guard case .text(let text) = values[0], case .blob(let uuid) = values[1] else {
                Issue.record("wrong types")
                return
            }
            let read = try #require(Date.fromDatabaseValue(text.databaseValue))
            #expect(abs(read.timeIntervalSince(stamp.at)) < 0.0006, "\(text)")
            #expect(UUID.fromDatabaseValue(Data(uuid).databaseValue) == stamp.uuid)
            #expect(values[2] == .integer(true.databaseValue == 1.databaseValue ? 1 : 0))

            let written = try #require(String.fromDatabaseValue(stamp.at.databaseValue))
            let back = try Self.stamp([.text(written), values[1], values[2]])
            #expect(abs(back.at.timeIntervalSince(stamp.at)) < 0.0011, "\(written)")
        }
    }

    @Test(arguments: [
        ("2026-11-23", 0.0), ("2026-11-23 01:00", 3600), ("2026-11-23T01:00:02", 3602),
        ("2026-11-23 01:00:02.5", 3602.5), ("2026-11-23 01:00:02.123456Z", 3602.123),
    ])
    func shorterFormsOfADateAreRead(text: String, seconds: Double) throws {
        let date = try Self.stamp([.text(text), .blob(Array(repeating: 0, count: 16)), .integer(2)])
        #expect(abs(date.at.timeIntervalSince1970 - 1_795_392_000 - seconds) < 0.0005)
        #expect(date.on)
    }

    @Test(arguments: [
        "", "2026", "2026-13-01", "2026-00-01", "2026-01-32", "2026-01-01 24:00",
        "2026-01-01 00:00:00.", "2026-01-01x", "2026-01-01 00:00:00.000+01:00", "yesterday",
    ])
    func whatIsNoDateIsAnErrorThatNamesTheColumn(text: String) {
        #expect(throws: RowError(table: "stamp", column: "at", .notConvertible(to: "date"))) {
            try Self.stamp([.text(text), .blob(Array(repeating: 0, count: 16)), .integer(0)])
        }
    }

    @Test func aUUIDHas16Bytes() {
        #expect(throws: RowError(table: "stamp", column: "uuid", .notConvertible(to: "UUID"))) {
            try Self.stamp([.text("2026-01-01"), .blob([1]), .integer(0)])
        }
    }
}
