import CBase
import Foundation

/// A key-value table in SQLite, with a WAL and prepared upserts.
///
/// `@unchecked Sendable`: the pointer is set once; the connection serializes its callers.
final class SQLite: Peer, @unchecked Sendable {
    enum Synchronous: String {
        case off = "OFF"
        case normal = "NORMAL"
        case full = "FULL"
    }

    let connection: OpaquePointer

    init(_ directory: String, _ synchronous: Synchronous) throws {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX
        guard
            sqlite3_open_v2(directory + "/bench.sqlite", &opened, flags, nil) == SQLITE_OK,
            let opened
        else { throw PeerError("sqlite", "did not open") }
        connection = opened
        try execute(
            """
            PRAGMA journal_mode = WAL; PRAGMA synchronous = \(synchronous.rawValue);
            PRAGMA cache_size = -1000000; PRAGMA wal_autocheckpoint = 100000;
            CREATE TABLE IF NOT EXISTS keyvalue
            (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID
            """)
    }

    /// Another connection to a database that exists.
    init(opening path: String) throws {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX
        guard sqlite3_open_v2(path, &opened, flags, nil) == SQLITE_OK, let opened else {
            throw PeerError("sqlite", "did not open")
        }
        connection = opened
    }

    func execute(_ sql: String) throws {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else {
            throw PeerError("sqlite", String(cString: sqlite3_errmsg(connection)))
        }
    }

    func session(durable: Bool) throws -> any Session { try SQLiteSession(self) }

    func close() { sqlite3_close_v2(connection) }
}

final class SQLiteSession: Session {
    private let peer: SQLite
    private let upsert: OpaquePointer?
    private let select: OpaquePointer?

    init(_ peer: SQLite) throws {
        self.peer = peer
        upsert = try Self.prepare(
            """
            INSERT INTO keyvalue VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value
            """, peer)
        select = try Self.prepare("SELECT value FROM keyvalue WHERE key = ?1", peer)
    }

    private static func prepare(_ sql: String, _ peer: SQLite) throws -> OpaquePointer? {
        var statement: OpaquePointer?
        guard
            sqlite3_prepare_v3(
                peer.connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
                == SQLITE_OK
        else { throw PeerError("sqlite", String(cString: sqlite3_errmsg(peer.connection))) }
        return statement
    }

    deinit {
        sqlite3_finalize(upsert)
        sqlite3_finalize(select)
    }

    func put(_ key: Bytes, _ value: Bytes) throws {
        bind(key, to: upsert)
        sqlite3_bind_blob(upsert, 2, value.baseAddress, Int32(value.count), nil)
        let result = sqlite3_step(upsert)
        sqlite3_reset(upsert)
        guard result == SQLITE_DONE else { throw PeerError("sqlite", "step: \(result)") }
    }

    func get(_ key: Bytes) throws -> Int? {
        bind(key, to: select)
        defer { sqlite3_reset(select) }
        let result = sqlite3_step(select)
        if result == SQLITE_DONE { return nil }
        guard result == SQLITE_ROW else { throw PeerError("sqlite", "step: \(result)") }
        return Int(sqlite3_column_bytes(select, 0))
    }

    private func bind(_ key: Bytes, to statement: OpaquePointer?) {
        key.withMemoryRebound(to: CChar.self) {
            _ = sqlite3_bind_text(statement, 1, $0.baseAddress, Int32($0.count), nil)
        }
    }
}
