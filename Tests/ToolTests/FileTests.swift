import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// `log`, `inspect` and `verify` of one file.
@Suite struct FileTests {
    /// Of four blocks: the definition, then flights 0, 1 and 2.
    private func blocks() async throws -> Fixture {
        let fixture = Fixture()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        for number in 0..<3 {
            // The database is filled from blocks, so each commit has got one.
            try await store.waitForAll(.materialized)
            try flights.put(Flight(number, "UA"))
        }
        try await fixture.close()
        return fixture
    }

    private func offsets(_ path: String) throws -> [Int] {
        guard case .opened(let file) = try SegmentReader.open(path, on: PosixDisk()) else {
            return []
        }
        return try file.headers().map(\.offset)
    }

    @Test func aSegmentIsPrintedAsItsStoreIs() async throws {
        let fixture = try await Fixture.closed()
        let file = fixture.segments[0]
        #expect(
            try Tool.run("log", file, "--utc").output
                == Tool.run("log", fixture.path, "--utc").output)
        let filtered = try Tool.run("log", file, "--where", "delay>=8", "--limit", "2")
        #expect(filtered.lines.count == 2)
        let verify = try Tool.run("verify", file)
        #expect(verify.status == 0 && verify.lines.last == "OK", "\(verify)")
        #expect(verify.output.contains("13 records in"))
        #expect(try Tool.run("inspect", file).lines.count >= 3)
    }

    @Test(arguments: ["content", "header"])
    func readingGoesOnBehindDamage(of what: String) async throws {
        let fixture = try await blocks()
        let file = fixture.segments[0]
        let offsets = try offsets(file)
        try #require(offsets.count == 4)
        try fixture.flip(
            byte: offsets[2] + (what == "header" ? 20 : BlockHeader.byteCount + 20), of: file)
        for path in [file, fixture.path] {
            let log = try Tool.run("log", path)
            #expect(log.status == 5)
            try #require(log.lines.count == 4, "\(log)")
            #expect(log.lines[2].hasPrefix("-- \(file) at offset \(offsets[2]): "))
            #expect(log.lines[2].contains("#3 is lost"))
            #expect(log.lines[3].contains("flight[2] put"))
        }
        let inspect = try Tool.run("inspect", file)
        #expect(inspect.status == 5 && inspect.lines.count == 6, "\(inspect)")
        #expect(inspect.output.contains("\(offsets[3])"))
        #expect(try Tool.run("inspect", fixture.path, "--blocks").output.contains("\(offsets[3])"))
        let verify = try Tool.run("verify", file, "--json")
        #expect(verify.status == 5 && verify.output.contains(#""lost":[3,3]"#), "\(verify)")
    }

    @Test func aSnapshotIsPrintedAsItsRows() async throws {
        let fixture = try await Fixture.closed()
        #expect(try Tool.run("snapshot", "take", fixture.path).status == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: fixture.path + "/snapshots")
        let file = fixture.path + "/snapshots/" + (try #require(names.first))
        let log = try Tool.run("log", file)
        #expect(log.status == 0 && log.lines.count == 9, "\(log)")
        #expect(log.lines.contains { $0.contains("#12 ") && $0.contains("flight[3] put") })
        #expect(try Tool.run("verify", file).lines.last == "OK")
        try fixture.flip(byte: try #require(offsets(file).last) + 80, of: file)
        let damaged = try Tool.run("log", file)
        #expect(damaged.status == 5 && damaged.output.contains("9 rows are lost"), "\(damaged)")
        #expect(try Tool.run("verify", file).status == 5)
    }

    @Test func stagingIsPrintedByItself() async throws {
        let fixture = try await Fixture.killed()
        let file = fixture.path + "/staging"
        let log = try Tool.run("log", file)
        try #require(log.status == 0 && log.lines.count == 13, "\(log)")
        #expect(log.lines[12].contains("flight[4] delete"))
        #expect(try Tool.run("verify", file).output.contains("13 records in 13 commits"))
        #expect(try Tool.run("inspect", file).lines.count == 15)
        let copy = fixture.path + "/copy-of-staging"
        try FileManager.default.copyItem(atPath: file, toPath: copy)
        let header = StagingHeader.byteCount
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: copy))
        let bytes = try #require(try handle.readToEnd())
        let slot = try #require((0..<2).first { bytes[header + $0 * (1 << 20)] != 0 })
        try fixture.flip(byte: header + slot * (1 << 20) + 64 + 33, of: copy)
        let damaged = try Tool.run("log", copy)
        #expect(damaged.status == 5 && damaged.lines.count == 13, "\(damaged)")
        #expect(damaged.output.contains("#1 is lost"))
    }

    @Test func whatRecoveryCutOffIsPrintedByItself() async throws {
        let fixture = try await blocks()
        let file = fixture.segments[0]
        let offsets = try offsets(file)
        try #require(offsets.count == 4)
        // As recovery would write it, had it cut off all behind the second block.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        var header = try SegmentHeader(decoding: Array(bytes.prefix(SegmentHeader.byteCount)).span)
        (header.kind, header.base) = (.cutOff, 3)
        header.chain = try BlockHeader(
            decoding: Array(bytes[offsets[1]..<offsets[1] + BlockHeader.byteCount]).span,
            salt: header.salt
        ).chain
        let kept = fixture.path + "/aside/00000000000000000003.segment-tail"
        try (Data(header.encoded()) + bytes[offsets[2]...]).write(to: URL(fileURLWithPath: kept))
        let log = try Tool.run("log", kept)
        try #require(log.status == 0 && log.lines.count == 2, "\(log)")
        #expect(log.lines[0].contains("flight[1] put") && log.lines[0].contains("not yet durable"))
        #expect(try Tool.run("verify", kept).output.contains("cut-off end of a segment"))
        // Recovery itself keeps what it cuts off in that form.
        let torn = try await Fixture.torn()
        _ = try torn.open()
        try await torn.close()
        let names = try FileManager.default.contentsOfDirectory(atPath: torn.path + "/aside")
        let tail = torn.path + "/aside/" + (try #require(names.first))
        let damaged = try Tool.run("log", tail)
        try #require(damaged.status == 5 && damaged.lines.count == 1, "\(damaged)")
        #expect(damaged.lines[0].contains("at offset 128"))
    }

    @Test func otherFilesAreRefusedWithWords() async throws {
        let fixture = try await Fixture.closed()
        for command in ["log", "inspect", "verify"] {
            let result = try Tool.run(command, fixture.path + "/store.json")
            #expect(result.status == 1 && result.output.isEmpty)
            #expect(result.errors.contains("is no segment, snapshot or staging file"))
        }
        #expect(try Tool.run("log", fixture.segments[0], "--follow").status == 2)
        #expect(try Tool.run("verify", fixture.segments[0], "--database").status == 2)
    }
}
