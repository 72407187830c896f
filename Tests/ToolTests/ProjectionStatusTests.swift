import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// `status` lists the projections as health does: of an open store as its writer says, else as the database has them.
@Suite struct ProjectionStatusTests {
    private struct Refused: Error, CustomStringConvertible {
        var description: String { "number 99 is not wanted" }
    }

    private func declare(_ store: Store, version: Int = 1) throws {
        let flights = try store.table(Flight.self)
        try store.project("carriers", version: version, of: flights) { db in
            try db.execute(sql: "CREATE TABLE carriers (carrier TEXT, flights INTEGER)")
        } apply: { change, db in
            if change.key == 99 { throw Refused() }
            try db.execute(
                sql: "INSERT INTO carriers VALUES (?, 1)", arguments: [change.new?.carrier])
        }
    }

    /// Waits until the writer's report says something.
    private func eventually(_ fixture: Fixture, says text: String) async throws {
        for _ in 0..<3_000 {
            let path = fixture.path + "/projections.json"
            if let found = try? String(contentsOfFile: path, encoding: .utf8), found.contains(text)
            {
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the writer did not say \(text)")
    }

    @Test func oneThatFollowsIsNamedWhetherTheStoreIsOpenOrNot() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        try declare(store)
        try await Fixture.fill(store)
        try await eventually(fixture, says: #""state":"current""#)
        let live = try Tool.run("status", fixture.path, "--json")
        let expected =
            #""projections":[{"name":"carriers","version":1,"table":"flight","state":"current","#
            + #""rows":null,"records":0,"cause":null,"since":null}]"#
        #expect(live.output.contains(expected), "\(live)")
        try await store.close()
        #expect(!FileManager.default.fileExists(atPath: fixture.path + "/projections.json"))
        let closed = try Tool.run("status", fixture.path, "--json")
        #expect(closed.output.contains(expected), "\(closed)")
        let text = try Tool.run("status", fixture.path)
        #expect(text.status == 0)
        #expect(
            text.words.contains("projection carriers (flight), version 1: up to date"), "\(text)")
    }

    @Test func oneThatHasStoppedIsAWarningWithItsCause() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        try declare(store)
        try await Fixture.fill(store)
        // One that fails while it is built has nothing in the database yet.
        try await eventually(fixture, says: #""state":"current""#)
        let receipt = try store.table(Flight.self).put(Flight(99, "UA"))
        try await store.waitForAll(.materialized, timeout: .seconds(300))
        try await eventually(fixture, says: #""state":"stopped""#)
        let cause = "at sequence \(receipt.sequence): number 99 is not wanted"
        for isOpen in [true, false] {
            let text = try Tool.run("status", fixture.path)
            #expect(text.status == 3, "\(text)")
            #expect(text.words.contains("it has stopped"), "\(text)")
            #expect(text.words.contains(cause), "\(text)")
            let json = try Tool.run("status", fixture.path, "--json")
            #expect(json.output.contains(#""state":"stopped","rows":null,"records":null,"#))
            #expect(json.output.contains(#""cause":"\#(cause)","since":""#), "\(json)")
            if isOpen { try await store.close() }
        }
    }

    /// Only its writer can say this.
    @Test func oneThatTheProgramHasNotDeclaredIsSaidToMissChanges() async throws {
        let fixture = Fixture()
        var store = try fixture.open()
        try declare(store)
        try await Fixture.fill(store)
        try await eventually(fixture, says: #""state":"current""#)
        try await store.close()
        store = try fixture.open()
        try store.table(Flight.self).put(Flight(20, "UA"))
        try await store.waitForAll(.materialized, timeout: .seconds(300))
        try await eventually(fixture, says: #""state":"undeclared""#)
        let live = try Tool.run("status", fixture.path)
        #expect(live.words.contains("its program has not declared it"), "\(live)")
        try await store.close()
        let closed = try Tool.run("status", fixture.path)
        #expect(closed.words.contains("it is built anew when its program declares it"))
    }
}
