import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// What may come between two steps of building an index.
@Suite struct IndexBuildingStepsTests {
    /// A store with a table of scores, the index of which is built step by step.
    private final class Building {
        let stepped: SteppedStore
        let builder: IndexBuilder
        private let table: UInt16
        private var rows: [Int: Score] = [:]
        var engine: Engine { stepped.engine }
        var index: OrderedIndex? { engine.indices.all.first }

        init(_ directory: TemporaryStore, rowLimit: Int = 1024) throws {
            stepped = try SteppedStore(directory) {
                $0.segmentSize = 4 << 10
                $0.blockSize = 256
                // A step of the materializer takes a block.
                $0.batchRecords = 1
                $0.logKept = .zero
                $0.logBytesKept = 0
            }
            builder = IndexBuilder(engine: stepped.engine, rowLimit: rowLimit, blockLimit: 1)
            let plain = WriteBehind.TableSchema("score", Score.schema.columns)
            table = UInt16(try stepped.engine.declare(plain).id)
        }

        func put(_ score: Score) throws {
            let (key, row) = try RowCodec.encode(
                [
                    .integer(Int64(score.id)), .integer(Int64(score.points)),
                    score.team.map { .text($0) } ?? .null,
                ], Score.schema)
            _ = try engine.write(.put, table: table, key: key.span, body: row.span)
            rows[score.id] = score
        }

        func declareIndex() throws {
            _ = try engine.declare(
                WriteBehind.TableSchema(
                    "score", Score.schema.columns, indices: [IndexDefinition("points")]))
        }

        /// Its file is deleted, which the next write or read notices.
        func loseDatabase() throws {
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: stepped.directory.database + suffix)
            }
            stepped.store.materializer.replace(engine.sink, after: SinkError(.gone, "deleted"))
            _ = stepped.store.materializer.step()
        }

        /// Brings all into the database and into two snapshots, which lets all log before these be deleted.
        func trim() throws {
            for _ in 0..<2 {
                try put(Score(0, rows[0]?.points ?? 0))
                try #require(stepped.materialize())
                stepped.store.snapshotter.request(engine.log.readable)
                while case .stepAgain = stepped.store.snapshotter.step() {}
            }
        }

        var firstSegment: UInt64? {
            try? LogReader.segmentBases(engine.log.environment).first
        }

        /// Builds it to its end, which must come, and compares it with the rows.
        func finish() throws {
            let index = try #require(index)
            for _ in 0..<1_000 where index.phase == .building { _ = builder.step() }
            try expectComplete()
        }

        func expectComplete() throws {
            let index = try #require(index)
            #expect(index.phase == .ready, "\(builder.health)")
            let found = try index.readIfReady { entries -> [[UInt8]] in
                let all = entries.entries(IndexPart(), limit: .max)
                return (0..<all.count).map { all.key($0) }
            }
            let wanted = try rows.values.sorted { ($0.points, $0.id) < ($1.points, $1.id) }
                .map { try KeyCodec.encode([.integer(Int64($0.id))], Score.schema) }
            #expect(found == wanted)
            #expect(index.fault() == nil)
        }
    }

    /// A row that the database refused is in quarantine and in memory alone. The database that takes the lost one's place has
    /// nothing in quarantine until it has come as far.
    @Test(arguments: 0...3)
    func aRowInQuarantineIsInTheIndexThoughTheDatabaseIsLost(after steps: Int) throws {
        let building = try Building(TemporaryStore())
        for id in 0..<40 { try building.put(Score(id, id * 7 % 40, team: "t\(id)")) }
        try #require(building.stepped.materialize())
        try building.stepped.directory.user("CREATE UNIQUE INDEX teams ON score (team)")
        try building.put(Score(77, 700, team: "t4"))
        try #require(building.stepped.materialize())
        try #require(building.engine.sink.quarantine.commitCount == 1)
        try building.declareIndex()
        for _ in 0..<steps { _ = building.builder.step() }
        try #require(building.index?.phase == .building)

        try building.loseDatabase()
        let isBehind = building.stepped.store.materializer.watermark.sequence < 41
        try #require(isBehind && building.engine.sink.quarantine.isEmpty)
        for _ in 0..<3 { _ = building.builder.step() }
        if building.index?.phase == .ready { try building.expectComplete() }
        try #require(building.stepped.materialize())
        try building.finish()
        try building.stepped.close()
    }

    /// A busy store brings all into the database every few steps, and deletes the log of it.
    @Test func anIndexBecomesReadyThoughLogIsDeletedBetweenItsSteps() throws {
        let building = try Building(TemporaryStore(), rowLimit: 50)
        /// More than a segment of changes that the database does not have yet.
        func put(_ factor: Int) throws {
            for id in 0..<200 {
                let text = (0..<4).map { _ in UUID().uuidString }.joined()
                try building.put(Score(id, id * factor % 191, team: text))
            }
            building.stepped.flush()
        }
        try put(1)
        try building.declareIndex()
        var trims = 0
        for round in 2..<40 where building.index?.phase == .building {
            for _ in 0..<2 { _ = building.builder.step() }
            let first = building.firstSegment
            try building.trim()
            if building.firstSegment != first { trims += 1 }
            try put(round)
        }
        #expect(trims > 2)
        try building.expectComplete()
        try building.stepped.close()
    }
}
