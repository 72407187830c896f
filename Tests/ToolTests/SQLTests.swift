import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// The output of `replay --sql`, run by the real `sqlite3`.
@Suite struct SQLTests {
    private static let schema = TableSchema(
        "excluded",
        [
            .key("a \"key\"", .text), .key("real", .real), .key("select", .blob),
            .column("new\nline", .integer, nullable: true), .column("d", .real),
            .column("e'", .text, nullable: true), .column("f", .blob, nullable: true),
        ])
    private static let extended = TableSchema(
        schema.name,
        schema.columns + [
            .column("g", .text, default: .text("it's \u{0} here")),
            .column("h", .real, default: .real(0.1)), .column("i", .integer, nullable: true),
        ], expiry: "i")

    private static let texts = [
        "", "it's", "\"", "a;b", "-- no", "/* no", ".quit", "\n.quit\n", "a\r\nb", "\r", "\u{0}",
        "a\u{0}", "\u{0}b", "tab\tbell\u{7}esc\u{1B}[2J", "\u{301}x", "é\u{202E}x", "🛫", "'\u{301}",
        String(repeating: "\r\n'", count: 400), "\u{FEFF}bom", "char(10)||", "\\n",
    ]
    private static let reals: [Double] = [
        0, -0.0, 1, -1.5, 0.1, 0.001, 123_456.789, 1.0 / 3, 0.3, 0.1 + 0.2, 1e15, 1e16, 1e22, 1e23,
        9_007_199_254_740_991, 9_007_199_254_740_992, .leastNonzeroMagnitude, .leastNormalMagnitude,
        .leastNormalMagnitude.nextDown, 1.797_693_134_862_315_7e308, -1.797_693_134_862_315_7e308,
        .infinity, -.infinity, .pi, 299_792.458, 8.41e21, 1e-7, 123_456_789_012.345,
    ]
    private static let integers: [Int64] = [0, 1, -1, .min, .max, .min + 1]

    /// Every awkward value as key and as value, by every operation; a column is added half-way.
    private func awkward() async throws -> Fixture {
        let fixture = Fixture()
        var values = try NewStore(at: fixture.path)
        var table = try ValueTable(values, Self.schema)
        var random = SeededRandom(seed: 7)
        let bits = (0..<300).map { _ in Double(bitPattern: random.next()) }.filter { !$0.isNaN }
        let reals = Self.reals + bits
        func row(_ index: Int) -> [StoredValue] {
            let text = Self.texts[index % Self.texts.count]
            return [
                .text(text), .real(reals[index % reals.count]), .blob(Array(text.utf8)),
                index % 5 == 0 ? .null : .integer(Self.integers[index % Self.integers.count]),
                .real(reals[(index + 1) % reals.count]), .text(text + "\(index)"),
                index % 3 == 0 ? .null : .blob([0, 0x27, UInt8(index % 256)]),
            ]
        }
        for index in 0..<reals.count { try table.commit { try $0.put(row(index)) } }
        try await values.close()
        var store = try fixture.open()
        try await store.snapshot()
        try store.mark("before 'it\n")
        try await fixture.close()
        values = try NewStore(at: fixture.path)
        table = try ValueTable(values, Self.extended)
        try table.commit { commit in
            for index in stride(from: 0, to: reals.count, by: 2) {
                try commit.update(
                    Array(row(index)[..<3]),
                    [1: .real(reals[index]), 2: .null, 4: .text(Self.texts[index % 22])])
            }
            for index in stride(from: 0, to: reals.count, by: 7) {
                try commit.delete(Array(row(index)[..<3]))
            }
        }
        try await values.close()
        store = try fixture.open()
        let flights = try store.table(Flight.self)
        try flights.put(Flight(1, "UA"))
        try store.transaction { try $0.clear(flights) }
        try flights.put(Flight(2, "B6", note: "'"))
        try await fixture.close()
        return fixture
    }

    /// Runs a script as it is.
    private func run(_ script: String, on database: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        process.arguments = ["-bail", database]
        let (input, errors) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(script.utf8))
        try input.fileHandleForWriting.close()
        let said = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(
            process.terminationStatus == 0 && said.isEmpty,
            "\(String(decoding: said, as: UTF8.self))")
    }

    /// The tables of a database, in the form of ``Fixture/fold(to:)``.
    private func rows(_ database: String, like fixture: Fixture) throws -> [String: [StoredValue]] {
        let catalog = try StoreInspection(path: fixture.path).fullCatalog()
        let queue = try DatabaseQueue(path: database)
        defer { try? queue.close() }
        return try queue.read { db in
            var found: [String: [StoredValue]] = [:]
            for table in catalog.tables where try db.tableExists(table.schema.name) {
                // Not all of its columns may have been added yet.
                let count = try db.columns(in: table.schema.name).count
                let schema = TableSchema(table.schema.name, Array(table.schema.columns[..<count]))
                let columns = schema.columns.map {
                    let name = "\"" + $0.name.replacing("\"", with: "\"\"") + "\""
                    return $0.type == .text ? "CAST(\(name) AS BLOB)" : name
                }
                let sql = "SELECT \(columns.joined(separator: ", ")) FROM \"\(schema.name)\""
                for row in try Row.fetchAll(db, sql: sql) {
                    let values = zip(schema.columns, row.databaseValues).map(Self.value)
                    let key = try RowCodec.encode(values, schema).key
                    found["\(table.id) \(hexadecimal(key))"] = values
                }
            }
            return found
        }
    }

    private static func value(_ column: ColumnSchema, _ value: DatabaseValue) -> StoredValue {
        switch value.storage {
        case .null: .null
        case .int64(let value): .integer(value)
        case .double(let value): .real(value)
        case .string(let value): .text(value)
        case .blob(let data):
            column.type == .text
                ? .text(String(decoding: data, as: UTF8.self)) : .blob(Array(data))
        }
    }

    private func temporary() -> String {
        FileManager.default.temporaryDirectory.path + "/wbtool-\(UUID().uuidString).sqlite"
    }

    @Test func theWholeLogMakesTheTablesThatItFoldsTo() async throws {
        let fixture = try await awkward()
        let result = try Tool.run("replay", fixture.path, "--sql")
        #expect(result.status == 0, "\(result.errors)")
        let database = temporary()
        defer { try? FileManager.default.removeItem(atPath: database) }
        try run(result.output, on: database)
        let fold = try fixture.fold()
        #expect(fold.count > 200)
        #expect(try rows(database, like: fixture) == fold)
        // No value brings a control character of its own; names may.
        #expect(!result.output.utf8.contains { $0 < 32 && $0 != 10 })
    }

    @Test(arguments: ["100", "mark:before 'it\n", "331", "1"])
    func twoStretchesThatMeetMakeTheSameTables(point: String) async throws {
        let fixture = try await awkward()
        let database = temporary()
        defer { try? FileManager.default.removeItem(atPath: database) }
        let head = try Tool.run("replay", fixture.path, "--sql", "--to", point)
        try run(head.output, on: database)
        let limit: LogPoint =
            UInt64(point).map { .sequence($0) } ?? .mark(String(point.dropFirst(5)))
        #expect(try rows(database, like: fixture) == fixture.fold(to: limit))
        let next = UInt64(point).map { "\($0 + 1)" } ?? point
        let tail = try Tool.run("replay", fixture.path, "--sql", "--from", next, "--to", "end")
        try run(tail.output, on: database)
        #expect(try rows(database, like: fixture) == fixture.fold())
    }

    @Test func aCommitIsATransactionWithItsPlaceAndTime() async throws {
        let fixture = try await Fixture.closed()
        let result = try Tool.run("replay", fixture.path, "--sql", "--from", "12", "--utc")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.count == 8)
        #expect(result.lines[0].hasPrefix("-- #12, 20"))
        #expect(result.lines[0].hasSuffix("Z"))
        #expect(
            result.lines[1..<4] == [
                "BEGIN;", "UPDATE \"flight\" SET \"delay\" = 100 WHERE (\"number\") = (3);",
                "COMMIT;",
            ])
        #expect(result.lines[6] == "DELETE FROM \"flight\" WHERE (\"number\") = (4);")
        let none = try Tool.run("replay", fixture.path, "--sql", "--from", "end")
        #expect(none.output.isEmpty && none.errors.contains("no commit"))
        let missing = try Tool.run("replay", fixture.path, "--sql", "--tables", "plane")
        #expect(missing.status == 2)
        #expect(try Tool.run("replay", fixture.path, "--sql", "--from", "99").status == 6)
    }

    /// A log whose head was deleted begins with the rows of its oldest snapshot.
    @Test func aLogWithoutItsHeadBeginsWithASnapshot() async throws {
        let fixture = try await awkward()
        try fixture.deleteOldestSegment()
        let database = temporary()
        defer { try? FileManager.default.removeItem(atPath: database) }
        let result = try Tool.run("replay", fixture.path, "--sql")
        #expect(
            result.lines.first?.hasPrefix("-- the rows of snapshot #") == true, "\(result.errors)")
        try run(result.output, on: database)
        #expect(try rows(database, like: fixture) == fixture.fold())
        // A part without the head says so.
        #expect(try Tool.run("replay", fixture.path, "--sql", "--from", "2").status == 6)
    }
}
