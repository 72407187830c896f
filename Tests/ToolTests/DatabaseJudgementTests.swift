import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// `status`, `verify --database`, `recover` and opening judge a database alike, and reading it changes nothing beside it.
@Suite struct DatabaseJudgementTests {
    private func names(_ fixture: Fixture) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: fixture.path).sorted()
    }

    private func verdict(_ result: Tool.Result) throws -> String? {
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return (object as? [String: Any])?["verdict"] as? String
    }

    @Test(arguments: ["header", "pages", "all", "empty header"])
    func aDamagedDatabaseIsCalledSoByVerdictAndExitCode(what: String) async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + "/database.sqlite"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let range =
            switch what {
            case "header": 0..<100
            case "pages": 4096..<bytes.count
            case "all": 0..<bytes.count
            default: 0..<16
            }
        var state: UInt64 = 7
        for index in range {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[index] = what == "empty header" ? 0 : UInt8(truncatingIfNeeded: state >> 33)
        }
        try bytes.write(to: URL(fileURLWithPath: path))
        let verify = try Tool.run("verify", fixture.path, "--database", "--json")
        #expect(verify.status == 5, "\(verify.output)\(verify.errors)")
        #expect(try verdict(verify) == "corrupt")
        #expect(verify.errors.isEmpty)
        let status = try Tool.run("status", fixture.path)
        #expect(status.status == 5 && status.output.contains("cannot serve"), "\(status)")
        let plan = try Tool.run("recover", fixture.path)
        #expect(plan.status == 5)
        #expect(plan.output.contains("the database cannot serve"), "\(plan.output)")
        #expect(try Tool.run("recover", fixture.path, "--apply").status == 0)
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func aCleanDatabaseIsReadWithoutAFileBesideIt() async throws {
        let fixture = try await Fixture.closed()
        let before = try names(fixture)
        for command in [
            ["status"], ["verify", "--database"], ["recover"], ["quarantine", "list"],
        ] {
            let (process, output, errors) = Tool.process(
                command.first == "quarantine"
                    ? command + [fixture.path] : [command[0], fixture.path] + command.dropFirst())
            try process.run()
            _ = output.fileHandleForReading.readDataToEndOfFile()
            let said = errors.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(String(decoding: said, as: UTF8.self))")
            #expect(try names(fixture) == before, "\(command)")
        }
    }

    @Test func aWALWithoutItsIndexIsReadAsOpeningWould() async throws {
        let fixture = try await Fixture.killed()
        try? FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite-shm")
        let before = try names(fixture)
        let verify = try Tool.run("verify", fixture.path, "--database")
        #expect(verify.status == 0, "\(verify.output)\(verify.errors)")
        #expect(verify.output.contains("compared at #13: all agree"))
        #expect(try names(fixture) == before)
    }

    /// As a writer leaves it that was killed while SQLite made the database.
    @Test func aHotJournalIsJudgedAsOpeningJudgesIt() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + "/database.sqlite"
        let other = Fixture()
        try FileManager.default.createDirectory(
            atPath: other.path, withIntermediateDirectories: true)
        // A copy taken inside a transaction that has spilled into the file.
        let otherPath = other.path + "/database.sqlite"
        let queue = try DatabaseQueue(path: otherPath)
        try await queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1")
            try db.execute(sql: "CREATE TABLE first (a)")
            try db.inTransaction {
                try db.execute(
                    sql: """
                        CREATE TABLE t AS WITH RECURSIVE n(i) AS
                          (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500)
                          SELECT i, hex(randomblob(200)) AS b FROM n;
                        DROP TABLE first;
                        """)
                for suffix in ["", "-journal"] {
                    try? FileManager.default.removeItem(atPath: path + suffix)
                    try FileManager.default.copyItem(
                        atPath: otherPath + suffix, toPath: path + suffix)
                }
                return .rollback
            }
        }
        try queue.close()
        let before = try names(fixture)
        let verify = try Tool.run("verify", fixture.path, "--database")
        #expect(verify.status == 5, "another program's: \(verify.output)\(verify.errors)")
        #expect(verify.output.contains("it belongs to another store"), "\(verify.output)")
        #expect(try Tool.run("status", fixture.path).status == 5)
        #expect(try Tool.run("recover", fixture.path).status == 5)
        #expect(try names(fixture) == before)
    }

    @Test func whatMayNotBeReadIsNotDamaged() async throws {
        guard geteuid() != 0 || access("/usr/bin/setpriv", X_OK) == 0 else { return }
        let fixture = try await Fixture.closed()
        let path = fixture.path + "/database.sqlite"
        // Every user may read the store, and only its owner may write it.
        for name in try FileManager.default.subpathsOfDirectory(atPath: fixture.path) + [""] {
            var isDirectory: ObjCBool = false
            let file = fixture.path + "/" + name
            _ = FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory)
            try FileManager.default.setAttributes(
                [.posixPermissions: isDirectory.boolValue ? 0o555 : 0o444], ofItemAtPath: file)
        }
        let readable = try Tool.runAsNobody(["verify", fixture.path, "--database"])
        #expect(readable.status == 0, "\(readable.output)\(readable.errors)")
        try FileManager.default.setAttributes([.posixPermissions: 0o000], ofItemAtPath: path)
        let verify = try Tool.runAsNobody(["verify", fixture.path, "--database"])
        #expect(verify.status == 1, "\(verify.output)\(verify.errors)")
        #expect(verify.errors.contains("permission denied"))
        let recover = try Tool.runAsNobody(["recover", fixture.path])
        #expect(recover.status == 1, "\(recover.output)")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o700], ofItemAtPath: fixture.path)
    }

    @Test func whatCannotBeComparedIsAWarningToBoth() async throws {
        let fixture = try await Fixture.closed()
        let old = fixture.path + "/old"
        try FileManager.default.copyItem(atPath: fixture.path + "/database.sqlite", toPath: old)
        for number in 50..<53 {
            let store = try fixture.open()
            try store.table(Flight.self).put(Flight(number, "AA"))
            try await store.snapshot()
            try await fixture.close()
        }
        // Log before the kept snapshots is gone, and the database is of before.
        try fixture.deleteOldestSegment()
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        try FileManager.default.moveItem(atPath: old, toPath: fixture.path + "/database.sqlite")
        for command in [["verify", fixture.path, "--database"], ["recover", fixture.path]] {
            let result = try Tool.run(
                command[0], command[1], command.count > 2 ? command[2] : "--json")
            #expect(result.status == 3, "\(command): \(result.output)\(result.errors)")
            #expect(result.output.contains("cannot be compared"), "\(result.output)")
        }
        #expect(try Tool.run("status", fixture.path).status == 3)
        let applied = try Tool.run("recover", fixture.path, "--apply")
        #expect(applied.status == 0, "\(applied.output)\(applied.errors)")
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func aDatabaseOfAnotherHistoryIsCalledSoByAll() async throws {
        let fixture = try await Fixture.closed()
        let other = Fixture()
        try FileManager.default.copyItem(atPath: fixture.path, toPath: other.path)
        for (number, store) in [(50, fixture), (51, other)] {
            try store.open().table(Flight.self).put(Flight(number, "AA"))
            try await store.close()
        }
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        try FileManager.default.moveItem(
            atPath: other.path + "/database.sqlite", toPath: fixture.path + "/database.sqlite")
        for command in [["status"], ["verify", "--database"], ["recover"]] {
            let result = try Tool.run([command[0], fixture.path] + command.dropFirst())
            #expect(result.status == 5, "\(command): \(result)")
            let words = result.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words.contains("belongs to another history than the log"), "\(words)")
        }
        _ = try fixture.open()
        try await fixture.close()
        let aside = try FileManager.default.contentsOfDirectory(atPath: fixture.path + "/aside")
        #expect(aside.contains("database.sqlite.other-history"))
        #expect(try Tool.run("status", fixture.path).status == 0)
    }

    @Test func aDamagedSnapshotIsToldAndRemade() async throws {
        for command in [["recover", "--apply"], ["snapshot", "take"]] {
            let fixture = try await Fixture.closed()
            #expect(try Tool.run("snapshot", "take", fixture.path).status == 0)
            let directory = fixture.path + "/snapshots/"
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: directory).first)
            try fixture.flip(byte: 400, of: directory + name)
            let plan = try Tool.run("recover", fixture.path)
            #expect(plan.status == 5, "\(plan.output)")
            #expect(plan.output.contains("is damaged at offset"), "\(plan.output)")
            #expect(plan.output.contains("keep 1 damaged snapshot in aside/"))
            let done =
                command[0] == "recover"
                ? try Tool.run("recover", fixture.path, "--apply")
                : try Tool.run("snapshot", "take", fixture.path)
            #expect(done.status == 0, "\(done.output)\(done.errors)")
            #expect(try Tool.run("snapshot", "verify", fixture.path).status == 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [name])
            let kept = try FileManager.default.contentsOfDirectory(
                atPath: fixture.path + "/aside")
            #expect(kept.count == 1 && kept[0].hasSuffix(".snapshot"))
            #expect(try Tool.run("recover", fixture.path).status == 0)
        }
    }
}
