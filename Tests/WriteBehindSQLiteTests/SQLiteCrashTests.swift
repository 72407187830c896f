import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindSQLite

@Suite struct SQLiteCrashTests {
    /// Cuts the WAL, as power loss may, and looks at what is left: rows and watermark must agree.
    ///
    /// Each transaction with sequence n adds row n and sets row 0 to n.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func rowsAndWatermarkSurviveTogetherOrNotAtAll(seed: UInt64) throws {
        print("seed \(seed)")
        let fixture = try SinkFixture()
        for sequence in 3...40 {
            let id = Int64(sequence)
            if sequence % 3 == 0 {
                try fixture.applyInOrder([[.person(id, "x", id)], [.person(0, "last", id)]])
            } else {
                try fixture.apply([.person(id, "x", id), .person(0, "last", id)])
            }
        }
        let files = FileManager.default
        let wal = try Data(contentsOf: URL(fileURLWithPath: fixture.path + "-wal"))
        var random = SeededRandom(seed: seed)
        for round in 0..<12 {
            let path = fixture.directory + "/crash-\(round).sqlite"
            let cut = round == 0 ? wal.count : Int.random(in: 0...wal.count, using: &random)
            try files.copyItem(atPath: fixture.path, toPath: path)
            try wal.prefix(cut).write(to: URL(fileURLWithPath: path + "-wal"))
            guard try files.attributesOfItem(atPath: path)[.size] as? Int != 0 else { continue }
            try check(path, isWhole: cut == wal.count, fixture)
        }
    }

    private func check(_ path: String, isWhole: Bool, _ fixture: SinkFixture) throws {
        let sink = try SinkFixture.open(path)
        defer { try? sink.close() }
        let watermark = try sink.watermark()
        guard sink.tables.contains(SinkFixture.person) else { return }
        #expect(!isWhole || watermark == fixture.at(fixture.sequence))
        let rows = try sink.reader.read { try Row.fetchAll($0, sql: "SELECT * FROM person") }
        guard let last = rows.first(where: { $0["id"] == 0 }) else {
            #expect(rows.isEmpty && watermark.sequence <= 2)
            return
        }
        let newest: Int64 = last["age"]
        #expect(rows.map { $0["id"] as Int64 }.max() == newest)
        #expect(Int64(rows.count) == newest - 1)
        // Every third transaction holds two sequences.
        #expect(watermark.sequence == UInt64(newest + newest / 3))
    }
}
