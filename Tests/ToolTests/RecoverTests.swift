import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

@Suite struct RecoverTests {
    private func rows(_ path: String) throws -> Int {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM flight") ?? -1 }
    }

    @Test func aGoodStoreNeedsNothing() async throws {
        let fixture = try await Fixture.closed()
        let before = try fixture.contents()
        let result = try Tool.run("recover", fixture.path)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(result.output.contains("nothing to do"))
        #expect(try fixture.contents() == before)
    }

    @Test func aLiveStoreIsLeftAlone() async throws {
        let fixture = try await Fixture.live()
        let result = try Tool.run("recover", fixture.path, "--apply")
        #expect(result.status == 7)
        try await fixture.close()
    }

    @Test func aTornLogIsPlannedThenCut() async throws {
        let fixture = try await Fixture.torn()
        let before = try fixture.contents()
        let plan = try Tool.run("recover", fixture.path)
        #expect(plan.status == 4, "\(plan.output)\(plan.errors)")
        #expect(plan.output.contains("cut 100 B off"))
        #expect(try fixture.contents() == before, "a plan changes nothing")
        let done = try Tool.run("recover", fixture.path, "--apply")
        #expect(done.status == 3, "\(done.output)\(done.errors)")
        #expect(done.output.contains("verified"))
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
        let kept = try FileManager.default.contentsOfDirectory(atPath: fixture.path + "/aside")
        #expect(kept.count == 1)
    }

    /// The database holds all that staging does, so neither of the two is ahead.
    @Test(arguments: [false, true])
    func aLastSegmentThatStagingHoldsWhollyCostsNothing(hasOthers: Bool) async throws {
        let live = hasOthers ? try await Fixture.closed() : try await Fixture.live()
        let store = try live.store ?? live.open()
        let flights = try store.table(Flight.self)
        for number in 20..<30 { try flights.put(Flight(number, "AA")) }
        try await store.waitForAll(.materialized)
        let fixture = Fixture()
        try FileManager.default.copyItem(atPath: live.path, toPath: fixture.path)
        try await live.close()
        try FileManager.default.removeItem(atPath: try #require(fixture.segments.last))
        let plan = try Tool.run("recover", fixture.path)
        #expect(plan.status == 3, "\(plan.output)\(plan.errors)")
        #expect(plan.output.contains("through #23, from the write buffer"), "\(plan.output)")
        #expect(!plan.output.contains("keep the database"), "\(plan.output)")
        let done = try Tool.run("recover", fixture.path, "--apply")
        #expect(done.status == 0, "\(done.output)\(done.errors)")
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
        #expect(try rows(fixture.path + "/database.sqlite") == 19)
    }

    @Test func aLostDatabaseIsRebuilt() async throws {
        let fixture = try await Fixture.closed()
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        #expect(try Tool.run("recover", fixture.path).output.contains("rebuild the database"))
        let result = try Tool.run("recover", fixture.path, "--apply")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try rows(fixture.path + "/database.sqlite") == 9)
    }

    @Test func aDriftedDatabaseIsPutAsideAndRebuilt() async throws {
        let fixture = try await Fixture.closed()
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write { try $0.execute(sql: "DELETE FROM flight WHERE number > 5") }
        try await queue.write { try $0.execute(sql: "CREATE VIEW mine AS SELECT 1") }
        try queue.close()
        let plan = try Tool.run("recover", fixture.path)
        #expect(plan.status == 5)
        #expect(plan.output.contains("4 rows of the database differ"))
        let result = try Tool.run("recover", fixture.path, "--apply")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try rows(fixture.path + "/database.sqlite") == 9)
        let rebuilt = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        #expect(try await rebuilt.read { try Int.fetchOne($0, sql: "SELECT * FROM mine") } == 1)
        try rebuilt.close()
        #expect(
            FileManager.default.fileExists(
                atPath: fixture.path + "/aside/database.sqlite.recover"))
    }

    @Test func whatOthersMadeOfAnotherStoresDatabaseIsNotCarriedOver() async throws {
        let (fixture, other) = (try await Fixture.closed(), try await Fixture.closed())
        let queue = try DatabaseQueue(path: other.path + "/database.sqlite")
        try await queue.write { try $0.execute(sql: "CREATE VIEW theirs AS SELECT 1") }
        try queue.close()
        let path = fixture.path + "/database.sqlite"
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: other.path + "/database.sqlite", toPath: path)
        let result = try Tool.run("recover", fixture.path, "--apply")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        let rebuilt = try DatabaseQueue(path: path)
        let views = try await rebuilt.read {
            try String.fetchAll($0, sql: "SELECT name FROM sqlite_master WHERE type = 'view'")
        }
        #expect(views == [])
        try rebuilt.close()
        #expect(try rows(path) == 9)
    }

    @Test func aDamagedLogIsSalvagedIntoANewStore() async throws {
        let fixture = try await Fixture.corrupt()
        #expect(try Tool.run("recover", fixture.path, "--apply").status == 5)
        let target = fixture.path + "-new"
        defer { try? FileManager.default.removeItem(atPath: target) }
        let before = try fixture.contents()
        let result = try Tool.run("recover", fixture.path, "--salvage", target)
        #expect(result.status == 3, "\(result.output)\(result.errors)")
        #expect(result.output.contains("#1 to #13"))
        #expect(try fixture.contents() == before)
        #expect(try Tool.run("verify", target, "--database").status == 0)
        #expect(try rows(target + "/database.sqlite") == 10)
    }

    @Test func aSnapshotSavesWhatTheLogLost() async throws {
        let fixture = try await Fixture.closed()
        #expect(try Tool.run("snapshot", "take", fixture.path).status == 0)
        try fixture.flip(byte: 250, of: fixture.segments[0])
        let target = fixture.path + "-new"
        defer { try? FileManager.default.removeItem(atPath: target) }
        let result = try Tool.run("recover", fixture.path, "--salvage", target)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try rows(target + "/database.sqlite") == 9)
    }

    @Test func aDatabaseAheadOfTheLogIsEvidenceAndCanBeDetached() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        try store.table(Flight.self).put(Flight(50, "AA"))
        try await fixture.close()
        try FileManager.default.removeItem(atPath: fixture.segments[1])
        let result = try Tool.run("verify", fixture.path)
        #expect(result.status == 5)
        #expect(result.output.contains("E3"))
        #expect(try Tool.run("recover", fixture.path, "--apply").status == 5)
        let detached = try Tool.run("recover", fixture.path, "--apply", "--detach")
        #expect(detached.status == 0, "\(detached.output)\(detached.errors)")
        #expect(try rows(fixture.path + "/database.sqlite") == 9)
    }

    @Test func aSnapshotAheadOfTheLogIsDetachedAsWell() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        try store.table(Flight.self).put(Flight(50, "AA"))
        try await store.snapshot()
        try await fixture.close()
        try FileManager.default.removeItem(atPath: fixture.segments[1])
        #expect(try Tool.run("verify", fixture.path).status == 5)
        let plan = try Tool.run("recover", fixture.path, "--detach")
        #expect(
            plan.output.contains("keep 1 snapshot that the log does not reach"), "\(plan.output)")
        let detached = try Tool.run("recover", fixture.path, "--apply", "--detach")
        #expect(detached.status == 0, "\(detached.output)\(detached.errors)")
        #expect(try rows(fixture.path + "/database.sqlite") == 9)
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
        let aside = try FileManager.default.contentsOfDirectory(atPath: fixture.path + "/aside")
        let kept = aside.filter { !$0.hasPrefix("database.sqlite") }
        #expect(kept.count == 1 && kept[0].hasSuffix(".snapshot"))
    }

    @Test func originalsBesideAMergedSegmentAreNoDamageAndGo() async throws {
        let fixture = try await Fixture.closed()
        for number in 50..<52 {
            let store = try fixture.open()
            try store.table(Flight.self).put(Flight(number, "AA"))
            try await fixture.close()
        }
        let originals = Dictionary(
            uniqueKeysWithValues: try fixture.segments.dropFirst().map {
                ($0, try Data(contentsOf: URL(fileURLWithPath: $0)))
            })
        let environment = try StoreInspection(path: fixture.path).environment
        try SegmentMerge(environment, options: LogOptions())
            .merge(try SegmentList(environment).segments)
        #expect(try Tool.run("verify", fixture.path).status == 0)
        for (path, data) in originals { try data.write(to: URL(fileURLWithPath: path)) }
        let verify = try Tool.run("verify", fixture.path, "--database")
        #expect(verify.status == 3, "\(verify.output)\(verify.errors)")
        #expect(verify.output.contains("it was merged into the segment before it"))
        let plan = try Tool.run("recover", fixture.path)
        #expect(plan.status == 3)
        for path in originals.keys {
            #expect(
                plan.output.contains("remove \(path), because the segment before it"),
                "\(plan.output)")
        }
        let applied = try Tool.run("recover", fixture.path, "--apply")
        #expect(applied.status == 0, "\(applied.output)\(applied.errors)")
        #expect(fixture.segments.count == 1)
        #expect(try rows(fixture.path + "/database.sqlite") == 11)
    }

    /// Opening takes the lock first, and gives the store its identity then.
    @Test func aStoreThatWasKilledBeforeItHadAnIdentityIsAnEmptyOne() async throws {
        let fixture = Fixture()
        try FileManager.default.createDirectory(
            atPath: fixture.path, withIntermediateDirectories: true)
        #expect(try Tool.run("verify", fixture.path).status == 1, "any directory")
        try Data().write(to: URL(fileURLWithPath: fixture.path + "/LOCK"))
        for command in ["verify", "status", "recover", "log"] {
            let result = try Tool.run(command, fixture.path)
            #expect(result.status == 0, "\(command): \(result.output)\(result.errors)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.path) == ["LOCK"])
        _ = try fixture.open()
        try await fixture.close()
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }
}
