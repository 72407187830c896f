import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// A second table beside the flights.
private struct Player: TableRow {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema("player", [.key("id", .integer)])
    var id: Int
    init(_ id: Int) { self.id = id }
    func encode(to encoder: inout RowEncoder) { encoder.encode(id) }
    init(from decoder: inout RowDecoder) throws { id = try decoder.decode() }
}

/// Every command that meets a loss names its sequences, records and tables.
@Suite struct LostTablesTests {
    /// Closed. Its blocks: #1 and #2 define the tables; #3 to #5 are of flight; #6 of both; #8 of player.
    private func store() async throws -> (Fixture, blocks: [Int]) {
        let fixture = Fixture()
        let store = try fixture.open()
        let (flights, players) = (try store.table(Flight.self), try store.table(Player.self))
        try await store.waitForAll(.materialized)
        try store.transaction { commit in
            for number in 0..<3 { try commit.put(Flight(number, "UA"), in: flights) }
        }
        try await store.waitForAll(.materialized)
        try store.transaction {
            try $0.put(Flight(7, "UA"), in: flights)
            try $0.put(Player(1), in: players)
        }
        try await store.waitForAll(.materialized)
        try players.put(Player(2))
        try await fixture.close()
        guard
            case .opened(let file) = try SegmentReader.open(fixture.segments[0], on: PosixDisk())
        else { return (fixture, []) }
        let found = try file.headers().filter { $0.header.firstSequence > 2 }
        try #require(found.map(\.header.firstSequence) == [3, 6, 8])
        return (fixture, found.map(\.offset))
    }

    private func json(_ tables: (name: String, least: Int, most: Int)...) -> String {
        let objects = tables.map {
            #"{"table":"\#($0.name)","least":\#($0.least),"most":\#($0.most)}"#
        }
        return "[" + objects.joined(separator: ",") + "]"
    }

    private func says(
        _ text: String, tables: String, _ fixture: Fixture, _ comment: String
    ) throws {
        let segment = fixture.segments[0]
        for arguments in [
            ["status"], ["verify"], ["recover"], ["log"], ["log", "--reverse"],
        ] {
            let result = try Tool.run([arguments[0], fixture.path] + arguments.dropFirst())
            #expect(result.words.contains(text), "\(arguments), \(comment): \(result.output)")
        }
        for command in ["log", "verify"] {
            let result = try Tool.run(command, segment)
            #expect(result.output.contains(text), "\(command) of the file, \(comment): \(result)")
        }
        for arguments in [["verify"], ["recover"], ["log"], ["status"]] {
            let json = try Tool.run(arguments + [fixture.path, "--json"])
            #expect(json.output.contains(tables), "\(arguments), \(comment): \(json.output)")
        }
    }

    @Test func theBlocksHeaderNamesThem() async throws {
        let (fixture, blocks) = try await store()
        try fixture.flip(byte: blocks[0] + BlockHeader.byteCount + 8, of: fixture.segments[0])
        try says(
            "3 records, of table flight", tables: json(("flight", 3, 3)), fixture, "flights alone")
        let (other, others) = try await store()
        try other.flip(byte: others[1] + BlockHeader.byteCount + 8, of: other.segments[0])
        try says(
            "2 records, of tables flight (1) and player (1)",
            tables: json(("flight", 1, 1), ("player", 1, 1)), other, "both"
        )
    }

    @Test func whereTheHeaderIsDamagedTooNothingIsClaimed() async throws {
        let (fixture, blocks) = try await store()
        try fixture.flip(byte: blocks[1] + 20, of: fixture.segments[0])
        try says("2 records, tables unknown", tables: "null", fixture, "header")
        // Beside a block whose header is good.
        try fixture.flip(byte: blocks[0] + BlockHeader.byteCount + 8, of: fixture.segments[0])
        try says(
            "3 records, of table flight", tables: json(("flight", 3, 3)), fixture,
            "content and header")
        for command in ["status", "verify", "recover"] {
            let result = try Tool.run(command, fixture.path)
            #expect(
                result.words.contains(
                    "5 records in all, of table flight (at least 3), maybe of others too"),
                "\(command): \(result)")
        }
        let target = Fixture()
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        let salvage = try Tool.run("recover", fixture.path, "--salvage", target.path)
        #expect(salvage.output.contains("#3 to #5, 3 records, of table flight\n"), "\(salvage)")
        #expect(salvage.output.contains("#6 to #7, 2 records, tables unknown\n"), "\(salvage)")
    }

    /// The log's own judgement ends at the first damage. All headers are read behind and before it.
    @Test func statusNamesTheLossesOfAllSegmentsWhoseHeadersAreDamaged() async throws {
        let (fixture, _) = try await store()
        for id in 10..<12 {
            let store = try fixture.open()
            try store.table(Player.self).put(Player(id))
            try await fixture.close()
        }
        try #require(fixture.segments.count == 3)
        try fixture.flip(byte: SegmentHeader.byteCount + 20, of: fixture.segments[0])
        try fixture.flip(
            byte: SegmentHeader.byteCount + BlockHeader.byteCount + 30, of: fixture.segments[2])
        for command in ["status", "verify", "recover"] {
            let result = try Tool.run(command, fixture.path)
            let said = result.words
            #expect(said.contains("records, tables unknown"), "\(command): \(result)")
            #expect(said.contains("of table player"), "\(command): \(result)")
            #expect(said.contains("records in all, "), "\(command): \(result)")
        }
    }

    /// A damaged header says that the rest of its segment is to be read, too: there a block may be damaged inside.
    @Test func statusReadsWhatIsBesideADamagedHeader() async throws {
        let (fixture, _) = try await store()
        let store = try fixture.open()
        let players = try store.table(Player.self)
        for id in 10..<12 {
            try players.put(Player(id))
            try await store.waitForAll(.materialized)
        }
        try await fixture.close()
        guard
            case .opened(let file) = try SegmentReader.open(fixture.segments[1], on: PosixDisk())
        else { return #expect(Bool(false), "it does not open") }
        let blocks = try file.headers()
        try #require(blocks.count == 2)
        try fixture.flip(byte: SegmentHeader.byteCount + 20, of: fixture.segments[0])
        try fixture.flip(
            byte: blocks[0].offset + BlockHeader.byteCount + 8, of: fixture.segments[1])
        try fixture.flip(byte: blocks[1].offset + 20, of: fixture.segments[1])
        let status = try Tool.run("status", fixture.path)
        let lost = blocks[0].header.firstSequence
        #expect(status.words.contains("#\(lost), 1 record, of table player"), "\(status)")
    }

    @Test func salvageNamesThem() async throws {
        let (fixture, blocks) = try await store()
        try fixture.flip(byte: blocks[1] + BlockHeader.byteCount + 8, of: fixture.segments[0])
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        let target = Fixture()
        let result = try Tool.run("recover", fixture.path, "--salvage", target.path)
        #expect(
            result.output.contains("#6 to #7, 2 records, of tables flight (1) and player (1)\n"),
            "\(result)")
    }

    /// The tables' names come from wherever they are still known, or else their numbers are said.
    @Test func namesComeFromTheDatabaseOrAreLeftOut() async throws {
        let (fixture, _) = try await store()
        try fixture.flip(byte: 250, of: fixture.segments[0])
        let verify = try Tool.run("verify", fixture.path)
        #expect(verify.output.contains("of tables flight (1) and player (1)"), "\(verify)")
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        let unnamed = try Tool.run("verify", fixture.path)
        #expect(unnamed.output.contains("of tables number 1 (1) and number 2 (1)"), "\(unnamed)")
    }

    @Test func aHeaderThatNamesOtherTablesIsAWarning() async throws {
        let (fixture, blocks) = try await store()
        let path = fixture.segments[0]
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let salt = try SegmentHeader(decoding: bytes.span).salt
        let range = blocks[0]..<blocks[0] + BlockHeader.byteCount
        var header = try BlockHeader(decoding: Array(bytes[range]).span, salt: salt)
        header.tables = TableSet(bits: 1 << 2)
        bytes.replaceSubrange(range, with: header.encoded(salt: salt))
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let result = try Tool.run("verify", fixture.path)
        #expect(result.status == 3)
        #expect(result.output.contains("the block's header names other tables than its records"))
    }

    @Test func namesThatShareABitAreBothSaid() throws {
        var lost = TableSet()
        var catalog = Catalog()
        for number: UInt32 in 1...66 {
            try catalog.define(
                TableDefinition(
                    id: number, schema: TableSchema("t\(number)", [.key("id", .integer)])))
        }
        lost.insert(2)
        lost.insert(5)
        let header = BlockHeader(
            kind: .block, firstSequence: 1, count: 5, flags: [], unsyncedBefore: 0, packedLength: 0,
            rawLength: 0, span: 0, time: 0, content: 0, chain: 0, tables: lost)
        let names = TableNames(catalog)
        let whole = LostTables(of: header)
        #expect(
            names.text(Loss(1...5, whole)) == "of tables t2 or t66 (1 to 4) and t5 (1 to 4)")
        #expect(names.list(whole)?.map(\.table) == ["t2 or t66", "t5"])
        #expect(names.list(whole)?.map(\.records) == [1...4, 1...4])
        #expect(
            names.text(Loss(1...2, whole.part(2, of: 5)))
                == "of tables t2 or t66 (0 to 2) or t5 (0 to 2)")
        #expect(names.text(Loss(1...2)) == "tables unknown")
    }
}
