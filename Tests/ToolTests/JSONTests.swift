import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// The page of JSON is complete: every key that a command prints is on it, and every key on it is printed.
@Suite struct JSONTests {
    /// The keys that the page lists for each command; `a.b`, `a[].b`, and `a.*` for names of columns.
    private static func page() throws -> [String: Set<String>] {
        let text = try String(contentsOf: pageURL, encoding: .utf8)
        var keys: [String: Set<String>] = [:]
        var section = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { section = line.dropFirst(3).lowercased() }
            guard !section.isEmpty, line.hasPrefix("| `"),
                let cell = line.dropFirst(2).split(separator: "|").first
            else { continue }
            for (index, part) in cell.split(separator: "`").enumerated() where index % 2 == 0 {
                keys[section, default: []].insert(String(part))
            }
        }
        return keys
    }

    private static var pageURL: URL {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return root.appendingPathComponent("Sources/WriteBehind/WriteBehind.docc/JSON.md")
    }

    /// The keys of an object, with those of the objects in it, in the page's form.
    private static func keys(_ value: Any, _ path: String, _ open: Set<String>) -> Set<String> {
        if let object = value as? [String: Any] {
            if open.contains(path + ".*") { return [path + ".*"] }
            var found: Set<String> = path.isEmpty ? [] : [path]
            for (key, value) in object {
                found.formUnion(keys(value, path.isEmpty ? key : path + "." + key, open))
            }
            return found
        }
        if let array = value as? [Any] {
            var found: Set<String> = [path]
            for item in array where item is [String: Any] || item is [Any] {
                found.formUnion(keys(item, path + "[]", open).subtracting([path + "[]"]))
            }
            return found
        }
        // Null where an object named by columns may be.
        return [open.contains(path + ".*") ? path + ".*" : path]
    }

    /// The output of commands, by section of the page.
    private final class Collection {
        private let page: [String: Set<String>]
        private(set) var printed: [String: Set<String>] = [:]

        init(_ page: [String: Set<String>]) { self.page = page }

        /// Parses strictly: every line is one object, and nothing else is on stdout.
        func take(_ text: String, as section: String, _ what: String) throws {
            for line in text.split(separator: "\n") {
                let parsed = try? JSONSerialization.jsonObject(with: Data(line.utf8))
                let object = try #require(parsed as? [String: Any], "\(what): \(line)")
                #expect(
                    section == "progress" || object["v"] as? Int == 1, "\(what): \(line)")
                let found = JSONTests.keys(object, "", page[section] ?? [])
                let unknown = found.subtracting(page[section] ?? [])
                #expect(unknown.isEmpty, "\(what) prints \(unknown), which JSON.md lacks")
                printed[section, default: []].formUnion(found)
            }
        }

        @discardableResult
        func run(_ arguments: String..., as section: String? = nil) throws -> Tool.Result {
            let result = try Tool.run(arguments + ["--json"])
            #expect(!result.output.isEmpty, "\(arguments) says nothing: \(result.errors)")
            try take(result.output, as: section ?? arguments[0], "\(arguments)")
            return result
        }
    }

    @Test func everyKeyIsOnThePageAndEveryKeyOfThePageIsPrinted() async throws {
        let page = try Self.page()
        let all = Collection(page)
        try await read(all)
        try await damaged(all)
        try await written(all)
        try await watched(all)
        try await secondary(all)
        try await shared(all)
        for (section, keys) in page.sorted(by: { $0.key < $1.key }) {
            let missing = keys.subtracting(all.printed[section] ?? [])
            #expect(missing.isEmpty, "JSON.md lists \(missing) under \(section); none was printed")
        }
        #expect(Set(all.printed.keys) == Set(page.keys))
    }

    private func read(_ all: Collection) async throws {
        let fixture = try await Fixture.live()
        try fixture.store?.mark("here")
        try fixture.store?.table(Flight.self).clear()
        try await fixture.store?.waitForAll(.materialized, timeout: .seconds(60))
        let path = fixture.path
        if let store = fixture.store {
            try await ChangesCommandTests.follow(store, named: "webhook")
        }
        try all.run("changes", "list", path, as: "changes list")
        try all.run("status", path, "--rates", "--tables", "--interval", "0.1")
        try all.run("log", path)
        try all.run("log", path, "--changed", "delay")
        try all.run("history", path, "flight", "3")
        try all.run("undo", path, "13")
        try all.run("diff", path, "0", "11")
        try all.run("diff", path, "11", "13")
        try all.run("inspect", path, "--blocks")
        try all.run("stats", path)
        try all.run("verify", path, "--database")
        try await fixture.close()
        try all.run("changes", "remove", path, "webhook", as: "changes remove")
        try await added(all, fixture)
        try all.run("snapshot", "take", path)
        try all.run("snapshot", "list", path)
        try all.run("verify", path)
        try all.run("replay", path, "--into", path + ".sqlite")
        try all.run("replay", path, "--into", path + "2.sqlite", "--dry-run")
        try FileManager.default.removeItem(atPath: path + ".sqlite")
        try Self.addUnknownRecord(to: path)
        try all.run("log", path)
        let progress = try Tool.run("verify", path, "--progress", "json")
        try all.take(progress.errors, as: "progress", "verify --progress json")
    }

    private struct Count: TableRow {
        typealias Key = Int
        static let schema = TableSchema(
            "count", [.key("id", .integer), .column("likes", .integer, default: .integer(0))])
        var id: Int
        var likes: Int

        init(id: Int, likes: Int) { (self.id, self.likes) = (id, likes) }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(id)
            encoder.encode(likes)
        }

        init(from decoder: inout RowDecoder) throws(RowError) {
            id = try decoder.decode()
            likes = try decoder.decode()
        }
    }

    private func shared(_ all: Collection) async throws {
        let fixture = Fixture()
        try fixture.open().sharedTable(Count.self).putIfAbsent(Count(id: 1, likes: 2))
        try await fixture.close()
        try all.run("log", fixture.path)
    }

    private func added(_ all: Collection, _ fixture: Fixture) async throws {
        let flights = try fixture.open().table(Flight.self)
        try flights.put(Flight(90, "AA", delay: 1))
        let receipt = try flights.add(2, to: "delay", of: 90)
        try await fixture.close()
        try all.run("log", fixture.path, "--operation", "add")
        try all.run("history", fixture.path, "flight", "90")
        try all.run("undo", fixture.path, "\(receipt.sequence)")
    }

    /// A record of a table that was never defined.
    private static func addUnknownRecord(to path: String) throws {
        let layout = StoreLayout(root: path)
        let disk = try FencedDisk.taking(layout, on: PosixDisk())
        let identity = try #require(try StoreIdentity.read(layout, on: disk))
        let log = try Log(
            opening: LogEnvironment(disk: disk, layout: layout, storeID: identity.storeID),
            options: LogOptions(), witnesses: [])
        let record: [UInt8] = [3, 9, 8, 0x80, 0, 0, 0, 0, 0, 0, 1]
        _ = try record.withUnsafeBytes {
            try log.append($0, count: 1, flags: .plain, time: 4_000_000_000_000)
        }
        try log.close()
        disk.release()
    }

    private func damaged(_ all: Collection) async throws {
        let torn = try await Fixture.torn()
        try all.run("inspect", torn.path)
        let damaged = try await Fixture.closed()
        try damaged.flip(byte: 250, of: damaged.segments[0])
        try all.run("status", damaged.path)
        try all.run("recover", torn.path)
        let corrupt = try await Fixture.corrupt()
        let queue = try DatabaseQueue(path: corrupt.path + "/database.sqlite")
        try await queue.write { try $0.execute(sql: "UPDATE flight SET delay = 7") }
        try queue.close()
        try all.run("log", corrupt.path)
        for command in ["inspect", "verify"] { try all.run(command, corrupt.segments[0]) }
        try all.run("verify", corrupt.path, "--database")
        try all.run("recover", corrupt.path)
        try all.run("recover", corrupt.path, "--salvage", corrupt.path + "-2")
        try FileManager.default.removeItem(atPath: corrupt.path + "-2")
        // The row that a later change is of is lost with the damaged block.
        let orphaned = try await Fixture.closed()
        try await orphaned.open().table(Flight.self).update(3) { $0.delay = 5 }
        try await orphaned.close()
        try orphaned.flip(byte: 250, of: orphaned.segments[0])
        try FileManager.default.removeItem(atPath: orphaned.path + "/database.sqlite")
        try all.run("recover", orphaned.path, "--salvage", orphaned.path + "-2")
        try FileManager.default.removeItem(atPath: orphaned.path + "-2")
        let drifted = try await Fixture.closed()
        let other = try DatabaseQueue(path: drifted.path + "/database.sqlite")
        try await other.write { try $0.execute(sql: "UPDATE flight SET delay = 7") }
        try other.close()
        try all.run("verify", drifted.path, "--database")
        try FileManager.default.removeItem(atPath: drifted.path + "/store.json")
        try all.run("recover", drifted.path, "--apply")
    }

    private func written(_ all: Collection) async throws {
        let fixture = try await Fixture.closed()
        let csv = fixture.path + ".csv"
        defer { try? FileManager.default.removeItem(atPath: csv) }
        try "number,carrier,note\n30,AA,same\n31,AA,same\n32,AA,same\n"
            .write(toFile: csv, atomically: true, encoding: .utf8)
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_note ON flight (note)")
        }
        try queue.close()
        try all.run("import", fixture.path, "flight", csv, "--dry-run")
        try all.run("import", fixture.path, "flight", csv)
        let list = try all.run("quarantine", "list", fixture.path)
        let sequences = list.lines.compactMap { line -> Int? in
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8))
            return (object as? [String: Any])?["sequence"] as? Int
        }
        try #require(sequences.count == 2)
        // One object, then records.
        let show = try Tool.run(
            "quarantine", "show", fixture.path, "\(sequences[0])", "--json")
        try all.take(show.lines[0], as: "quarantine", "show")
        try all.take(show.lines[1], as: "log", "show")
        try all.run("quarantine", "retry", fixture.path)
        try all.run("quarantine", "skip", fixture.path, "\(sequences[0])", "--reason", "double")
        try all.run(
            "quarantine", "correct", fixture.path, "\(sequences[1])", "--table", "flight", "--row",
            #"{"number":32,"carrier":"AA","note":"other"}"#, "--reason", "typing error")
        try all.run("log", fixture.path, "--operation", "settle")
    }

    /// What only the writer can tell.
    private func secondary(_ all: Collection) async throws {
        let fixture = Fixture()
        let store = try fixture.open(secondary: fixture.path + "-2.sqlite")
        defer { try? FileManager.default.removeItem(atPath: fixture.path + "-2.sqlite") }
        try await Fixture.fill(store)
        try all.run("quarantine", "retry", fixture.path)
        try store.project("carriers", version: 1, of: store.table(Flight.self)) { db in
            try db.execute(sql: "CREATE TABLE carriers (carrier TEXT)")
        } apply: { _, _ in
        }
        try await fixture.close()
        try all.run("status", fixture.path)
    }

    /// A look that fails, and causes: only a store in trouble has them.
    private func watched(_ all: Collection) async throws {
        let fixture = try await Fixture.live()
        try fixture.whileLocked {
            try fixture.store?.table(Flight.self).put(Flight(70, "AA"))
            Thread.sleep(forTimeInterval: 2)
            try all.run("status", fixture.path)
        }
        let closed = try await Fixture.closed()
        try Data(
            #"{"databases":[{"materialized":3,"name":"reports","quarantined":0,"refused":[]}],"process":1,"time":1}"#
                .utf8
        ).write(to: URL(fileURLWithPath: closed.path + "/secondaries.json"))
        try all.run("status", closed.path)
        let watch = try RunningTool(
            "status", fixture.path, "--watch", "--interval", "0.1", "--json")
        #expect(watch.prints(#""rates":{"#))
        try await fixture.close()
        try FileManager.default.removeItem(atPath: fixture.path)
        #expect(watch.prints(#""problem":"#))
        #expect(watch.interrupt() == 0)
        try all.take(watch.text, as: "status", "--watch")
    }
}
