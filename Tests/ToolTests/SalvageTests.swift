import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// `recover --salvage` keeps every readable commit once, with its time, and names the losses.
@Suite struct SalvageTests {
    /// The flight with two columns more, as in a later version of a program.
    private struct LaterFlight: TableRow {
        typealias Key = Int
        static let schema = WriteBehind.TableSchema(
            "flight",
            Flight.schema.columns + [
                .column("seats", .integer, default: .integer(100)),
                .column("gate", .text, nullable: true),
            ])
        var flight: Flight
        var seats: Int
        var gate: String?

        func encode(to encoder: inout RowEncoder) {
            flight.encode(to: &encoder)
            encoder.encode(seats)
            encoder.encode(gate)
        }
        init(from decoder: inout RowDecoder) throws {
            flight = try Flight(from: &decoder)
            seats = try decoder.decode()
            gate = try decoder.decode()
        }
    }

    private func rows(_ path: String) throws -> [[String?]] {
        let queue = try DatabaseQueue(path: path + "/database.sqlite")
        defer { try? queue.close() }
        return try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM flight ORDER BY number").map { row in
                row.databaseValues.map { String.fromDatabaseValue($0) ?? "\($0)" }
            }
        }
    }

    /// Each change as `time operation row`, definitions left out.
    private func changes(_ path: String) throws -> [String] {
        try Tool.run("log", path, "--utc").lines.map { line in
            line.split(separator: " ").dropFirst().joined(separator: " ")
        }.filter { !$0.contains("define") }
    }

    private func salvage(_ fixture: Fixture) throws -> (Fixture, Tool.Result) {
        let target = Fixture()
        let before = try fixture.contents()
        let result = try Tool.run("recover", fixture.path, "--salvage", target.path)
        #expect(try fixture.contents() == before, "the damaged store is not touched")
        #expect(try Tool.run("verify", target.path, "--database").status == 0)
        return (target, result)
    }

    @Test func eachRecordIsTakenOnceAndKeepsItsTimeWhicheverFileHoldsIt() async throws {
        let fixture = try await Fixture.killed()
        let (all, contents) = (try changes(fixture.path), try rows(fixture.path))
        try fixture.flip(byte: 250, of: fixture.segments[0])
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        let (target, result) = try salvage(fixture)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(result.output.contains("12 records of the log"))
        #expect(try changes(target.path) == all)
        #expect(try rows(target.path) == contents)
    }

    @Test func whatTheLogLostAndTheDatabaseHasIsKept() async throws {
        let fixture = try await Fixture.corrupt()
        let contents = try rows(fixture.path)
        let (target, result) = try salvage(fixture)
        #expect(result.status == 3)
        #expect(
            result.output.contains("#1 to #13, 13 records, of table flight; the rows are right"))
        #expect(result.output.contains("the database's rows at #14: 9 put right, 0 removed"))
        #expect(try rows(target.path) == contents)
    }

    /// Their rows are right, but what they were in between is not in the new log.
    @Test func changesThatTheDatabaseMakesUpForAreListed() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        for delay in 1...3 {
            try await store.table(Flight.self).update(5) { $0.delay = 50 + delay }
        }
        try await fixture.close()
        let contents = try rows(fixture.path)
        try fixture.flip(byte: 250, of: fixture.segments[0])
        let (target, result) = try salvage(fixture)
        #expect(result.status == 3)
        #expect(
            result.output.contains(
                "3 changes of 1 row of flight, whose earlier versions are lost; the rows are right"),
            "\(result.output)")
        #expect(try rows(target.path) == contents)
    }

    /// The database has none of it, and what it has instead is older.
    @Test func rowsThatWaitInQuarantineAreTakenFromTheLog() async throws {
        let fixture = try await Fixture.closed()
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write { try $0.execute(sql: "CREATE UNIQUE INDEX one ON flight(note)") }
        try queue.close()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        try flights.put(Flight(20, "AA", note: "taken"))
        try store.transaction {
            try $0.put(Flight(21, "AA", note: "taken"), in: flights)
            try $0.put(Flight(0, "ZZ"), in: flights)
        }
        // It follows for row 0, and holds row 1 as well.
        try store.transaction {
            try $0.put(Flight(0, "YY"), in: flights)
            try $0.put(Flight(1, "WW"), in: flights)
        }
        try await store.waitForAll(.materialized)
        #expect(store.health.quarantined == 2)
        try await fixture.close()
        try fixture.flip(byte: 250, of: fixture.segments[0])
        let (target, result) = try salvage(fixture)
        #expect(result.status == 3, "\(result.errors)")
        let carriers = try rows(target.path).prefix(2).map { $0[1] }
        #expect(carriers == ["YY", "WW"], "\(result.output)")
    }

    /// Its rows would be of another time than the watermark at which they replace the log's.
    @Test func aDatabaseThatIsWrittenMeanwhileIsNotUsed() async throws {
        let fixture = try await Fixture.closed()
        let inspection = try StoreInspection(path: fixture.path)
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write { db in
            try db.execute(sql: "UPDATE _writebehind_watermark SET sequence = sequence + 1")
            try db.execute(sql: "UPDATE flight SET delay = 999")
        }
        try queue.close()
        let target = Fixture()
        let store = try NewStore(at: target.path)
        let result = try Salvage.run(inspection, into: store) { _ in }
        try await store.close()
        guard case .unusable(let reason) = result.database else {
            Issue.record("\(result.database)")
            return
        }
        #expect(reason.contains("something writes to it: its watermark is not #13 any more"))
        #expect(try rows(target.path).allSatisfy { $0[2] != "999" })
    }

    @Test func whatNothingHoldsIsCountedByTableAndRows() async throws {
        let fixture = try await Fixture.closed()
        let old = fixture.path + "/database.old"
        try FileManager.default.copyItem(atPath: fixture.path + "/database.sqlite", toPath: old)
        for step in 0..<2 {
            let store = try fixture.open()
            let flights = try store.table(Flight.self)
            if step == 0 { try flights.put(Flight(50, "AA")) }
            if step == 1 {
                for delay in 1...3 { try await flights.update(50) { $0.delay = delay } }
                try flights.delete(9)
            }
            try await fixture.close()
        }
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        try FileManager.default.moveItem(atPath: old, toPath: fixture.path + "/database.sqlite")
        try fixture.flip(byte: 250, of: fixture.segments[1])
        let (target, result) = try salvage(fixture)
        #expect(result.status == 3)
        #expect(result.output.contains("#14, 1 record, of table flight\n"), "\(result.output)")
        #expect(
            result.output.contains(
                "3 changes of 1 row of flight, whose earlier versions are lost"),
            "\(result.output)")
        #expect(result.output.contains("the database's rows at #13: 0 put right, 0 removed"))
        #expect(try rows(target.path).map { $0[0] } == ["0", "1", "2", "3", "5", "6", "7", "8"])
    }

    @Test(arguments: [false, true])
    func tablesThatGainedColumnsAreSalvaged(hasSnapshot: Bool) async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        let flights = try store.table(LaterFlight.self)
        try await flights.update(3) { $0.gate = "B2" }
        if hasSnapshot { try await store.snapshot() }
        try flights.delete(5)
        try await fixture.close()
        let contents = try rows(fixture.path)
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        let (target, result) = try salvage(fixture)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try rows(target.path) == contents)
        #expect(contents.first { $0[0] == "3" }?.suffix(2) == ["100", "B2"])
    }
}
