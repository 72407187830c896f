import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// `writebehind undo`, on the fixture's twelve changes of flights.
@Suite struct UndoTests {
    @Test(arguments: [
        (["12"], "flight[3] patch delay=3"), (["#12"], "flight[3] patch delay=3"),
        (["13"], "flight[4] put carrier=\"UA\" delay=4 note=NULL"), (["2"], "flight[0] delete"),
    ])
    func whatTakesACommitBackIsPrintedAndNothingWritten(sequence: [String], line: String)
        async throws
    {
        let fixture = try await Fixture.closed()
        let before = try fixture.contents()
        let result = try Tool.run("undo", fixture.path, sequence[0])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines == [line])
        #expect(result.errors.contains("takes back the commit of #"))
        #expect(try fixture.contents() == before)
    }

    @Test func appliedItIsANewCommitThatCanBeTakenBack() async throws {
        let fixture = try await Fixture.closed()
        let before = try fixture.fold()
        let result = try Tool.run("undo", fixture.path, "13", "--apply")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("written as #14"))
        let log = try Tool.run("log", fixture.path, "--from", "14")
        #expect(log.lines.count == 1)
        #expect(log.lines[0].hasSuffix(#" flight[4] put carrier="UA" delay=4 note=NULL"#))
        #expect(try fixture.fold() == fixture.fold(to: .sequence(12)))
        #expect(try Tool.run("undo", fixture.path, "14", "--apply").status == 0)
        #expect(try fixture.fold() == before)
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func laterChangesOfItsRowsAreNamedAndKeptUnlessOverwritten() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        try await store.table(Flight.self).update(3) { $0.note = "kept" }
        try await fixture.close()
        let plan = try Tool.run("undo", fixture.path, "12", "--json")
        #expect(plan.status == 3)
        #expect(
            plan.lines == [
                #"{"v":1,"operation":"patch","table":"flight","key":{"number":3},"values":{"delay":3}}"#
            ])
        #expect(plan.errors.contains("#14 changed flight[3] since"))
        let refused = try Tool.run("undo", fixture.path, "12", "--apply")
        #expect(refused.status == 1)
        #expect(try Tool.run("log", fixture.path, "--from", "15").output.isEmpty)
        let written = try Tool.run("undo", fixture.path, "12", "--apply", "--overwrite-later")
        #expect(written.status == 0, "\(written.errors)")
        // The column that the commit left alone stays.
        let row = try fixture.fold().first { $0.value[0] == .integer(3) }?.value
        #expect(row == [.integer(3), .text("B6"), .integer(3), .text("kept")])
    }

    @Test func aRowThatIsGoneSinceComesBackWhole() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        try store.table(Flight.self).delete(3)
        try await fixture.close()
        let result = try Tool.run("undo", fixture.path, "12", "--apply", "--overwrite-later")
        #expect(result.lines == [#"flight[3] put carrier="B6" delay=3 note=NULL"#])
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func aClearPutsAllRowsBackIfOneCommitHoldsThem() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        try store.transaction {
            try $0.put(Flight(60, "AA"), in: flights)
            try $0.clear(flights)
            try $0.put(Flight(5, "ZZ"), in: flights)
        }
        try await fixture.close()
        let cleared = try Tool.run("undo", fixture.path, "14", "--apply")
        #expect(cleared.status == 0, "\(cleared.errors)")
        #expect(try fixture.fold() == fixture.fold(to: .sequence(13)))
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func whatNoCommitHoldsIsRefusedWithWords() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        let note = String(repeating: "x", count: 200_000)
        for number in 0..<6 { try flights.put(Flight(number, "UA", note: note)) }
        try store.transaction { try $0.clear(flights) }
        try await fixture.close()
        let result = try Tool.run("undo", fixture.path, "8", "--apply")
        #expect(result.status == 1)
        #expect(result.errors.contains("is the most that one commit holds"))
        #expect(result.errors.contains("replay --to-sequence 7"))
        #expect(result.output.isEmpty)
    }

    @Test func whatCannotBeTakenBackIsSaid() async throws {
        let fixture = try await Fixture.closed()
        let define = try Tool.run("undo", fixture.path, "1")
        #expect(define.status == 1 && define.errors.contains("changes no row"))
        #expect(try Tool.run("undo", fixture.path, "99").status == 6)
        #expect(try Tool.run("undo", fixture.path, "0").status == 6)
        #expect(try Tool.run("undo", fixture.path, "now").status == 2)
        #expect(try Tool.run("undo", fixture.path, "12", "--overwrite-later").status == 2)
        let live = try await Fixture.live()
        #expect(try Tool.run("undo", live.path, "12").status == 0)
        #expect(try Tool.run("undo", live.path, "12", "--apply").status == 7)
        try await live.close()
    }

    /// The last commit is of any kind.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func takingTheLastCommitBackLeavesTheStateBeforeIt(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let fixture = Fixture()
        var schema = TableSchema(
            "t", [.key("k", .text), .column("a", .integer), .column("b", .text, nullable: true)])
        for round in 0..<6 {
            let store = try NewStore(at: fixture.path)
            if round == 3 {
                schema = TableSchema(
                    "t", schema.columns + [.column("c", .real, default: .real(0.5))])
            }
            let table = try ValueTable(store, schema)
            for _ in 0..<10 { try table.commit { try Self.change(&$0, &random, schema) } }
            try await store.close()
            let inspection = try StoreInspection(path: fixture.path)
            let end = inspection.readable
            let plan = try UndoPlan(end, inspection.history(), limit: 1 << 20)
            let before = try fixture.fold(to: .sequence(plan.first - 1))
            let result = try Tool.run("undo", fixture.path, "\(end)", "--apply")
            #expect(result.status == 0, "\(result.errors)")
            #expect(
                try fixture.fold().mapValues { $0.prefix(3) } == before.mapValues { $0.prefix(3) })
        }
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    private static func change(
        _ commit: inout ValueTable.Changes, _ random: inout SeededRandom, _ schema: TableSchema
    ) throws {
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            let key = StoredValue.text(
                ["a", "b\0", "c", "", "d", "e"].randomElement(using: &random) ?? "")
            let more = schema.valueColumns.dropFirst(2).map { _ in StoredValue.real(0.25) }
            let number = StoredValue.integer(Int64.random(in: 0...3, using: &random))
            switch Int.random(in: 0..<20, using: &random) {
            case 0: commit.clear()
            case 1..<5: try commit.delete([key])
            case 5..<9: try commit.add([key], [0: Int64.random(in: -2...2, using: &random)])
            default: try commit.put([key, number, .null] + more)
            }
            // A patch needs its row.
            if Bool.random(using: &random) {
                try commit.put([key, number, .text("x")] + more)
                try commit.update([key], [0: .integer(9), 1: .null])
            }
        }
    }
}
