import EventLog
import Foundation
import GRDB
import GRDBSQLite
package import WriteBehindCore

/// The options for opening a database. The defaults suit a store that writes all day on a small machine.
package struct SQLiteOptions: Sendable {
    /// How many readers may work at once, users' own queries among them.
    package var readerCount = 8
    /// Seconds to wait for another process's lock. It is short, because the materializer waits better than SQLite.
    package var busyTimeout = 0.05
    /// KiB of pages that the writing connection keeps in memory.
    package var writerCache = 32_768
    /// KiB of pages that each reading connection keeps in memory.
    package var readerCache = 4_096
    /// After this many pages (of 4 KiB) in the WAL, they are copied into the database. A page that many
    /// batches changed is copied once, so with a backlog a few big checkpoints are faster than many small ones. SQLite
    /// makes no checkpoints by itself: they would write no ``FileGeneration``, and report no error.
    package var checkpointPages = 100_000
    /// The time in microseconds since 1970.
    package var now: @Sendable () -> Int64

    package init(
        now: @escaping @Sendable () -> Int64 = {
            Int64(Date().timeIntervalSince1970 * 1_000_000)
        }
    ) {
        self.now = now
    }

    /// - Parameters:
    ///   - disk: the store's disk, which checks whether the database still belongs to the store. GRDB opens reading
    ///     connections when they are needed, by the database's path.
    ///   - stop: ends the reads of these connections.
    func grdb(on disk: any Disk, stoppedBy stop: ReadStop? = nil) -> Configuration {
        var configuration = Configuration()
        configuration.maximumReaderCount = readerCount
        configuration.busyMode = .timeout(busyTimeout)
        configuration.label = "WriteBehind"
        configuration.prepareDatabase { [self] db in
            try DatabaseFiles(db).checkPlace(on: disk)
            try Configuration.keepTemporariesInMemory(db)
            // No memory-mapped reading, because an I/O error would kill the process instead of being reported.
            try db.execute(sql: "PRAGMA mmap_size = 0")
            guard !db.configuration.readonly else {
                stop?.install(on: db)
                return try db.execute(sql: "PRAGMA cache_size = -\(readerCache)")
            }
            try db.execute(
                sql: """
                    PRAGMA cache_size = -\(writerCache);
                    PRAGMA synchronous = NORMAL;
                    PRAGMA wal_autocheckpoint = 0;
                    PRAGMA journal_size_limit = 67108864;
                    """)
        }
        return configuration
    }
}

extension Configuration {
    /// The configuration for a short read of a database.
    static func brief(readonly: Bool, timeout: Double) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readonly
        configuration.busyMode = .timeout(timeout)
        configuration.label = "writebehind"
        configuration.prepareDatabase(keepTemporariesInMemory)
        return configuration
    }

    /// A read-only container has no directory for SQLite's temporary files.
    @Sendable static func keepTemporariesInMemory(_ db: Database) throws {
        try db.execute(sql: "PRAGMA temp_store = MEMORY")
    }
}

/// The first steps of opening: check to which store the database belongs, and load what it holds.
enum SQLiteOpening {
    /// Checks that the database is this store's or empty, and creates the file if needed. Changes nothing in another
    /// database.
    ///
    /// - Returns: the number in the header of the file, if its WAL is empty. GRDB writes into the WAL when it opens.
    static func claim(
        _ path: String, storeID: [UInt8], disk: any Disk
    ) throws(SinkError) -> Int64? {
        do throws(SystemError) {
            guard let byteCount = try disk.byteCount(of: path) else {
                // Created here for its mode, which SQLite would leave to the umask.
                _ = try disk.open(path, .createExclusively)
                return nil
            }
            guard byteCount > 0 else { return nil }
        } catch {
            throw SinkError(.gone, "\(error)")
        }
        do throws(SinkError) {
            return try checkOwner(path, storeID, disk, readonly: true)
        } catch {
            // The process that made it was killed before the database was in WAL mode. Rolling that back needs a
            // connection that may write, and happens in any program that opens the file.
            guard error.code == SQLITE_READONLY | 3 << 8 else { throw error }  // …_ROLLBACK
            return try checkOwner(path, storeID, disk, readonly: false)
        }
    }

    private static func checkOwner(
        _ path: String, _ storeID: [UInt8], _ disk: any Disk, readonly: Bool
    ) throws(SinkError) -> Int64? {
        var configuration = Configuration.brief(readonly: readonly, timeout: 1)
        configuration.prepareDatabase { db in try DatabaseFiles(db).checkPlace(on: disk) }
        return try throwingSinkError {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? queue.close() }
            return try queue.read { db in try checkOwner(db, path, storeID) }
        }
    }

    private static func checkOwner(_ db: Database, _ path: String, _ storeID: [UInt8]) throws
        -> Int64?
    {
        guard try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0 > 0 else {
            return nil  // a process was killed between creating the file and the tables
        }
        guard try db.tableExists("_writebehind_watermark") else {
            throw SinkError(.foreignDatabase, "\(path) is a database of something else")
        }
        let owners = try Data.fetchAll(
            db, sql: "SELECT log FROM _writebehind_watermark")
        guard owners == [Data(storeID)] else {
            throw SinkError(.foreignDatabase, "\(path) is the database of another store")
        }
        return try FileGeneration.check(db, path)
    }

    struct Opened {
        var writer: SQLiteWriter
        var state: SQLiteSink.State
    }

    /// Creates the store's tables if needed, loads them, and checks the schema.
    static func prepare(
        _ pool: any DatabaseWriter, storeID: [UInt8], origin: Watermark, header: Int64?,
        _ registry: ProjectionRegistry, _ options: SQLiteOptions
    ) throws(SinkError) -> Opened {
        try throwingSinkError {
            try pool.writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    if try !db.tableExists("_writebehind_watermark") {
                        try createTables(db, storeID: storeID, origin: origin, options)
                    } else {
                        try DatabaseLayout.upgrade(db)
                    }
                    return .commit
                }
                var state = SQLiteSink.State()
                state.tables = try loadTables(db)
                state.quarantine = try QuarantineTable.load(db)
                guard let connection = unsafe db.sqliteConnection,
                    let row = try Row.fetchOne(
                        db,
                        sql: "SELECT sequence, chain, generation, base FROM _writebehind_watermark")
                else { throw SinkError(.corrupt, "the database has no watermark") }
                var generation = FileGeneration(number: row[2], base: row[3])
                if let header { generation.base = header }
                let watermark = try Watermark(stored: row[0], chain: row[1])
                let projections = try SQLiteProjections(
                    db, at: watermark, registry, now: options.now)
                let writer = unsafe try SQLiteWriter(
                    connection, storeID: storeID, watermark: watermark, generation: generation,
                    checkpointPages: options.checkpointPages, projections)
                writer.use(state.tables)
                try writer.check(db)
                return Opened(writer: writer, state: state)
            }
        }
    }

    private static func createTables(
        _ db: Database, storeID: [UInt8], origin: Watermark, _ options: SQLiteOptions
    ) throws {
        try db.execute(
            sql: """
                CREATE TABLE _writebehind_watermark (
                  log BLOB PRIMARY KEY NOT NULL, sequence INTEGER NOT NULL,
                  chain INTEGER NOT NULL, applied_at INTEGER NOT NULL,
                  generation INTEGER NOT NULL, base INTEGER NOT NULL,
                  layout INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE _writebehind_table (
                  id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, schema TEXT NOT NULL
                ) STRICT;
                """ + QuarantineTable.schema)
        let generation = FileGeneration.first
        try db.execute(
            sql: "INSERT INTO _writebehind_watermark VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                Data(storeID), Int64(bitPattern: origin.sequence),
                Int64(bitPattern: origin.chain), options.now(),
                generation.number, generation.base, DatabaseLayout.version,
            ])
    }

    private static func loadTables(_ db: Database) throws -> [UInt32: TableSQL] {
        var tables: [UInt32: TableSQL] = [:]
        for json in try String.fetchAll(db, sql: "SELECT schema FROM _writebehind_table") {
            do throws(SchemaError) {
                let definition = try TableDefinition(json: Array(json.utf8).span)
                tables[definition.id] = TableSQL(definition: definition)
            } catch {
                throw SinkError(.corrupt, "_writebehind_table: \(error)")
            }
        }
        return tables
    }
}

extension Watermark {
    /// - Throws: ``SinkError/Kind/corrupt`` for a sequence that no store writes.
    package init(stored sequence: Int64, chain: Int64) throws(SinkError) {
        guard sequence >= 0 else {
            throw SinkError(.corrupt, "the database's watermark is \(sequence)")
        }
        self.init(sequence: UInt64(sequence), chain: UInt64(bitPattern: chain))
    }
}
