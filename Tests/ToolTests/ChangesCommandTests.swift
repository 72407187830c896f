import Foundation
import TestSupport
import Testing
import WriteBehind

/// `writebehind changes`, and what `status` says of change streams.
@Suite struct ChangesCommandTests {
    /// A consumer that has acknowledged the first of flight's commits, which has the sequence 2.
    static func follow(_ store: Store, named name: String) async throws {
        let flights = try store.table(Flight.self)
        var iterator = store.changes(of: flights, named: name, from: .oldest).makeAsyncIterator()
        try await iterator.next()?.acknowledge()
    }

    @Test func streamsAreListedWhileTheStoreIsOpenAndWhenItIsClosed() async throws {
        let fixture = try await Fixture.live()
        let store = try #require(fixture.store)
        #expect(try Tool.run("changes", fixture.path).output == "there are no change streams\n")
        try await Self.follow(store, named: "webhook")
        for isOpen in [true, false] {
            if !isOpen { try await fixture.close() }
            let list = try Tool.run("changes", "list", fixture.path)
            #expect(list.status == 0)
            #expect(list.output.hasPrefix("webhook (flight): #2, 11 records behind, "), "\(list)")
            let status = try Tool.run("status", fixture.path)
            #expect(status.output.contains("webhook (flight): #2"), "\(status.output)")
        }
    }

    @Test func aStreamIsRemovedOnceNoProcessHasTheStoreOpen() async throws {
        let fixture = try await Fixture.live()
        let store = try #require(fixture.store)
        try await Self.follow(store, named: "webhook")
        #expect(try Tool.run("changes", "remove", fixture.path, "webhook").status == 7)
        try await fixture.close()
        let removed = try Tool.run("changes", "remove", fixture.path, "webhook")
        #expect(removed.status == 0 && removed.output == "webhook was removed\n", "\(removed)")
        #expect(try Tool.run("changes", fixture.path).output == "there are no change streams\n")
        #expect(try Tool.run("changes", "remove", fixture.path, "webhook").status == 1)
    }

    @Test func aFileThatCannotBeUsedIsNamed() async throws {
        let fixture = try await Fixture.live()
        try await Self.follow(try #require(fixture.store), named: "webhook")
        try await fixture.close()
        let url = URL(fileURLWithPath: fixture.path + "/change-streams")
        var bytes = try Data(contentsOf: url)
        bytes[50] ^= 1
        try bytes.write(to: url)
        for command in ["changes", "status"] {
            let result = try Tool.run(command, fixture.path)
            #expect(result.status == 3 && result.output.contains("change-streams"), "\(result)")
        }
    }

    @Test func aPositionOfAnotherHistoryIsNamed() async throws {
        let fixture = try await Fixture.closed()
        let copy = fixture.path + "-copy"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try FileManager.default.copyItem(atPath: fixture.path, toPath: copy)
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        let stream = store.changes(of: flights, named: "ahead")
        try flights.put(Flight(60, "AA"))
        var iterator = stream.makeAsyncIterator()
        try await iterator.next()?.acknowledge()
        try await fixture.close()
        let name = "/change-streams"
        try FileManager.default.copyItem(atPath: fixture.path + name, toPath: copy + name)
        let list = try Tool.run("changes", copy)
        #expect(list.status == 3 && list.output.contains("another history"), "\(list)")
    }
}
