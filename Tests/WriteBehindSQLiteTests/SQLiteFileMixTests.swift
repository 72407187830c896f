import EventLog
import Foundation
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// The database's files, each as of another moment: SQLite itself takes any of them for one database.
@Suite struct SQLiteFileMixTests {
    private static let rowCount = 900
    private static let suffixes = ["", "-wal", "-shm"]

    /// A database at several moments of its life, and what its rows were by its watermark.
    private final class Moments {
        let fixture: SinkFixture
        var names: [String] = []
        var ages: [Int64] = []
        var rows: [UInt64: [Int64]] = [:]

        init() throws {
            fixture = try SinkFixture()
            ages = Array(repeating: 0, count: SQLiteFileMixTests.rowCount)
            try write(rows: 0..<ages.count)
        }

        /// Changes some of the rows, so that no two moments have all pages alike.
        func write(rows numbers: some Sequence<Int>) throws {
            for number in numbers { ages[number] = Int64(fixture.sequence + 1) }
            let name = String(repeating: "n", count: 100)
            try fixture.apply(numbers.map { try .person(Int64($0), name, ages[$0]) })
            rows[fixture.sequence] = ages
        }

        func third(_ rest: Int) -> StrideTo<Int> { stride(from: rest, to: ages.count, by: 3) }

        /// Copies the files as a killed process would leave them.
        func keep() throws {
            let name = fixture.directory + "/moment\(names.count)"
            for suffix in SQLiteFileMixTests.suffixes
            where FileManager.default.fileExists(atPath: fixture.path + suffix) {
                try FileManager.default.copyItem(
                    atPath: fixture.path + suffix, toPath: name + suffix)
            }
            names.append(name)
        }
    }

    private static func live() throws -> Moments {
        let moments = try Moments()
        try moments.keep()
        for round in 0..<3 {
            _ = try moments.fixture.sink.checkpoint()
            try moments.keep()
            for step in 0..<2 {
                try moments.write(rows: moments.third((round + step) % 3))
                try moments.keep()
            }
        }
        try moments.fixture.sink.close()
        try moments.keep()
        return moments
    }

    /// Opens a database that is put together from moments; nil if it is refused.
    private static func rows(
        of moments: Moments, file: Int, wal: Int, index: Int
    ) throws -> (sequence: UInt64, ages: [Int64])? {
        let path = moments.fixture.directory + "/mixed"
        for (suffix, moment) in zip(suffixes, [file, wal, index]) {
            try? FileManager.default.removeItem(atPath: path + suffix)
            let source = moments.names[moment] + suffix
            guard FileManager.default.fileExists(atPath: source) else { continue }
            try FileManager.default.copyItem(atPath: source, toPath: path + suffix)
        }
        do {
            let sink = try SinkFixture.open(path)
            defer { try? sink.close() }
            // Of a file to which nothing was copied yet: it begins again.
            guard sink.holds(1) else { return (try sink.watermark().sequence, []) }
            let ages = try sink.reader.read {
                try Int64.fetchAll($0, sql: "SELECT age FROM person ORDER BY id")
            }
            return (try sink.watermark().sequence, ages)
        } catch let error as SinkError where error.callsForReplacement {
            return nil
        }
    }

    @Test func filesOfDifferentMomentsAreOneStateOrRefused() throws {
        let moments = try Self.live()
        var refused = 0
        for file in moments.names.indices {
            for wal in moments.names.indices {
                for index in Set([file, wal]) {
                    let found = try Self.rows(of: moments, file: file, wal: wal, index: index)
                    if file == wal { #expect(found != nil, "moment \(file) as it was") }
                    if found == nil { refused += 1 }
                    guard let found else { continue }
                    let isRight = found.ages == moments.rows[found.sequence] ?? []
                    #expect(isRight, "file \(file), WAL \(wal), index \(index)")
                }
            }
        }
        #expect(refused > 0)
    }

    /// Checkpoints that a reader held up leave the WAL as it is, and a later one puts more into the file.
    @Test func aWALFromBeforeAnotherAttemptDoesNotGoWithTheFile() throws {
        let moments = try Moments()
        try moments.keep()  // before the first checkpoint
        try moments.write(rows: moments.third(0))
        _ = try moments.fixture.sink.checkpoint()
        try moments.keep()
        try moments.write(rows: moments.third(1))
        let other = try DatabaseQueue(path: moments.fixture.path)
        for _ in 0..<2 {
            try other.inDatabase { db in
                try db.execute(sql: "BEGIN")
                _ = try Row.fetchAll(db, sql: "SELECT 1 FROM person LIMIT 1")
                _ = try moments.fixture.sink.checkpoint()
                try moments.keep()
                try moments.write(rows: moments.third(2))
                try db.execute(sql: "COMMIT")
            }
        }
        try other.close()
        _ = try moments.fixture.sink.checkpoint()
        try moments.write(rows: moments.third(0))
        try moments.keep()
        for (file, wal) in [(1, 0), (4, 2), (4, 3), (4, 0)] {
            let found = try Self.rows(of: moments, file: file, wal: wal, index: wal)
            #expect(found == nil, "file \(file), WAL \(wal): \(found?.sequence ?? 0)")
        }
        for moment in moments.names.indices {
            let found = try Self.rows(of: moments, file: moment, wal: moment, index: moment)
            #expect(found.map { $0.ages == moments.rows[$0.sequence] ?? [] } == true)
        }
    }

    @Test func aFileWithoutItsWALIsWhatTheLastCheckpointLeft() throws {
        let moments = try Self.live()
        for moment in moments.names.indices.dropFirst() {
            for suffix in ["-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: moments.names[moment] + suffix)
            }
            let found = try Self.rows(of: moments, file: moment, wal: moment, index: moment)
            #expect(found.map { $0.ages == moments.rows[$0.sequence] ?? [] } == true)
            #expect(found != nil)
        }
    }

    /// The files after a kill in the middle of a checkpoint: some of the WAL's pages are in the file.
    @Test func aCheckpointThatWasCutOffIsNoMixture() throws {
        let moments = try Moments()
        _ = try moments.fixture.sink.checkpoint()
        try moments.write(rows: moments.third(0))
        try moments.keep()
        let before = try Data(contentsOf: URL(filePath: moments.names[0]))
        // Held up by a reader, so that the WAL stays.
        let other = try DatabaseQueue(path: moments.fixture.path)
        try other.inDatabase { db in
            try db.execute(sql: "BEGIN; SELECT count(*) FROM person")
            _ = try Row.fetchAll(db, sql: "SELECT 1 FROM person LIMIT 1")
            _ = try moments.fixture.sink.checkpoint()
            try moments.keep()
            try moments.write(rows: moments.third(1))
            try db.execute(sql: "COMMIT")
            try moments.keep()
        }
        let number = try other.read {
            try Int32.fetchOne($0, sql: "SELECT generation FROM _writebehind_watermark") ?? 0
        }
        try other.close()
        _ = try moments.fixture.sink.checkpoint()
        var after = try Data(contentsOf: URL(filePath: moments.fixture.path))
        // Of the attempt before: its WAL was kept.
        withUnsafeBytes(of: (number + 1).bigEndian) { after.replaceSubrange(68..<72, with: $0) }
        let wal = 2
        for cut in stride(from: 0, through: after.count, by: 4096) {
            let file = after.prefix(cut) + (cut < before.count ? before.dropFirst(cut) : Data())
            try file.write(to: URL(filePath: moments.names[1]))
            let found = try Self.rows(of: moments, file: 1, wal: wal, index: wal)
            #expect(found?.ages == moments.ages, "cut \(cut)")
        }
    }
}
