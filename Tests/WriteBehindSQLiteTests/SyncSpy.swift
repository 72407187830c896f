import GRDBSQLite
import Synchronization
import TestSupport

/// Counts the syncs of a database's files, and lets them fail: SQLite's files have their methods exchanged. One test
/// at a time may use it.
enum SyncSpy {
    private typealias Opened =
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, OpaquePointer?
        ) -> Int32

    /// Connections that are open, as addresses.
    private static let opened = Locked<[(path: String, connection: UInt)]>([])
    private static let isFailing = Atomic<Bool>(false)
    private static let syncs = Atomic<Int>(0)
    /// SQLite's own, the same for all files; set before any of them is exchanged.
    nonisolated(unsafe) private static var original:
        (@convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32) -> Int32)?
    /// Methods with another sync, by SQLite's own, for as long as any file may have them.
    nonisolated(unsafe) private static var exchanged:
        [UnsafePointer<sqlite3_io_methods>: UnsafePointer<sqlite3_io_methods>] = [:]

    static var count: Int { syncs.load(ordering: .relaxed) }

    /// Runs `body`, which opens a database, and watches its connections from then on.
    static func opening<R>(_ body: () throws -> R) rethrows -> R {
        let note: Opened = { connection, _, _ in
            guard let connection, let path = sqlite3_db_filename(connection, "main") else {
                return SQLITE_OK
            }
            let entry = (String(cString: path), UInt(bitPattern: connection))
            SyncSpy.opened.withLock { $0.append(entry) }
            // A function is destroyed with its connection, so this shows the connection's end.
            return sqlite3_create_function_v2(
                connection, "sync_spy", 0, SQLITE_UTF8, UnsafeMutableRawPointer(connection),
                { _, _, _ in }, nil, nil,
                { closed in
                    SyncSpy.opened.withLock {
                        $0.removeAll { $0.connection == UInt(bitPattern: closed) }
                    }
                })
        }
        let pointer = unsafeBitCast(note, to: (@convention(c) () -> Void).self)
        sqlite3_auto_extension(pointer)
        defer { sqlite3_cancel_auto_extension(pointer) }
        return try body()
    }

    /// From now on the syncs of a database's WAL are counted.
    static func countSyncs(ofTheWALOf name: String) {
        exchange(SQLITE_FCNTL_JOURNAL_POINTER, name)
    }

    /// Runs `body` while no sync of a database's own file succeeds.
    static func failing<R>(_ name: String, _ body: () throws -> R) rethrows -> R {
        exchange(SQLITE_FCNTL_FILE_POINTER, name)
        isFailing.store(true, ordering: .relaxed)
        defer { isFailing.store(false, ordering: .relaxed) }
        return try body()
    }

    private static func exchange(_ which: Int32, _ name: String) {
        for (path, address) in opened.withLock({ $0 }) where path.hasSuffix(name) {
            var file: UnsafeMutablePointer<sqlite3_file>?
            sqlite3_file_control(OpaquePointer(bitPattern: address), "main", which, &file)
            guard let file, let methods = file.pointee.pMethods else { continue }
            guard !exchanged.values.contains(methods) else { continue }
            let own = exchanged[methods] ?? spied(methods.pointee)
            exchanged[methods] = own
            file.pointee.pMethods = own
        }
    }

    private static func spied(_ methods: sqlite3_io_methods) -> UnsafePointer<sqlite3_io_methods> {
        let own = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        own.initialize(to: methods)
        original = methods.xSync
        own.pointee.xSync = { file, flags in
            SyncSpy.syncs.add(1, ordering: .relaxed)
            let fails = SyncSpy.isFailing.load(ordering: .relaxed)
            return fails ? SQLITE_IOERR | 4 << 8 : SyncSpy.original?(file, flags) ?? SQLITE_OK
        }
        return UnsafePointer(own)
    }
}
