import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

@Suite struct ReplayTests {
    private func delays(_ path: String) throws -> [Int: Int?] {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try queue.read { db in
            var found: [Int: Int?] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT number, delay FROM flight") {
                found[row[0]] = .some(row[1])
            }
            return found
        }
    }

    @Test func aDatabaseOfAnyMomentIsMade() async throws {
        let fixture = try await Fixture.closed()
        let before = try fixture.contents()
        let file = fixture.path + ".sqlite"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let result = try Tool.run("replay", fixture.path, "--into", file, "--to-sequence", "11")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try delays(file).count == 10)
        #expect(try delays(file)[3] == 3)
        #expect(try fixture.contents() == before)
        let again = try Tool.run("replay", fixture.path, "--into", file)
        #expect(again.status == 2, "an existing file is refused")
        #expect(try delays(file).count == 10)
    }

    @Test func exclusiveStopsBefore() async throws {
        let fixture = try await Fixture.closed()
        let file = fixture.path + ".sqlite"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let result = try Tool.run(
            "replay", fixture.path, "--into", file, "--to-sequence", "12", "--exclusive")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try delays(file)[3] == 3)
    }

    @Test func aPointBehindTheEndIsNotReached() async throws {
        let fixture = try await Fixture.closed()
        let file = fixture.path + ".sqlite"
        let result = try Tool.run("replay", fixture.path, "--into", file, "--to-sequence", "99")
        #expect(result.status == 6)
        #expect(!FileManager.default.fileExists(atPath: file))
        #expect(try Tool.run("replay", fixture.path, "--into", file, "--to-mark", "x").status == 6)
    }

    @Test func aPlanAndItsSQLChangeNothing() async throws {
        let fixture = try await Fixture.closed()
        let file = fixture.path + ".sqlite"
        let plan = try Tool.run("replay", fixture.path, "--into", file, "--dry-run")
        #expect(plan.status == 0)
        #expect(plan.output.contains("would fold 13 records"))
        let sql = try Tool.run("replay", fixture.path, "--explain")
        #expect(sql.output.contains("CREATE TABLE \"flight\""))
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    @Test func aNewStoreIsMade() async throws {
        let fixture = try await Fixture.closed()
        let target = fixture.path + "-copy"
        defer { try? FileManager.default.removeItem(atPath: target) }
        let result = try Tool.run("replay", fixture.path, "--into-store", target)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try delays(target + "/database.sqlite").count == 9)
        #expect(try Tool.run("verify", target, "--database").status == 0)
    }

    @Test func aSecondDatabaseIsKeptCurrent() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        try await Fixture.fill(store)
        let file = fixture.path + ".sqlite"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let (process, output, _) = Tool.process([
            "replay", fixture.path, "--into", file, "--follow",
        ])
        try process.run()
        _ = output
        try store.table(Flight.self).put(Flight(70, "AA", delay: 7))
        var found: Int?
        for _ in 0..<6000 where found == nil {
            try await Task.sleep(for: .milliseconds(50))
            guard FileManager.default.fileExists(atPath: file) else { continue }
            found = (try? delays(file)[70]) ?? nil
        }
        #expect(found == 7)
        process.interrupt()
        for _ in 0..<6000 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "Ctrl-C ends it quietly")
        try await fixture.close()
    }
}
