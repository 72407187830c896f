import EventLog
import GRDB
import GRDBSQLite
import WriteBehindCore

/// Ties the database's file to the WAL beside it. SQLite itself does not: it would read an older file with a newer WAL, or
/// a newer file with an older WAL, as one database with mixed rows.
///
/// The state that a complete checkpoint leaves in the file has a number, which is in the header of the file (as
/// `application_id`) and in the watermark row. Each transaction writes the watermark row, so a WAL that is not empty
/// says which file it is for:
///
///     row in the WAL     header of the file              between
///     (g, g)             g                               a complete checkpoint and the next
///     (h, g)             g, h + 1 (begun) or h (done),   what is written just before a checkpoint, and its end
///                        or that of an earlier attempt
///
/// A new number is written before each attempt at a checkpoint, so that a WAL from before it does not fit a file
/// with newer pages. The header gets the number only when all other pages are in the file, so that a file that lacks some
/// does not fit a later WAL. Numbers are random, so that two copies of a store that were used separately have different
/// ones. Readers may hold up a checkpoint. Repeated attempts at the same one count by 2 in the low 8 bits, because the file
/// may still be as an earlier attempt left it.
struct FileGeneration: Equatable {
    /// The file's number after the next checkpoint, an even one.
    var number: Int64
    /// The number in the header of the file when the WAL was empty.
    var base: Int64

    var isBegun: Bool { number != base }
    /// The number in the header while the file is being brought to this generation.
    var mark: Int64 { number + 1 }

    /// The first generation of a new database, whose header has 0.
    static var first: FileGeneration { FileGeneration(number: random(), base: 0) }

    /// Begins another attempt at the checkpoint. After the last number, further attempts get the same one.
    mutating func begin() {
        if !isBegun {
            number = Self.random()
        } else if number & Self.attempts < Self.attempts - 1 {
            number += 2
        }
    }

    private static let attempts: Int64 = 0xFF

    private static func random() -> Int64 { Int64.random(in: 1..<1 << 23) << 8 }

    func goes(with header: Int64) -> Bool {
        header == base
            || isBegun && header | Self.attempts == number | Self.attempts && header <= mark
    }

    /// - Returns: the number in the header of the file, if a checkpoint is complete or the WAL is empty.
    /// - Throws: `.corrupt` if the WAL belongs to another state of the file.
    static func check(_ db: Database, _ path: String) throws -> Int64? {
        guard
            let row = try Row.fetchOne(
                db, sql: "SELECT generation, base FROM _writebehind_watermark")
        else { return nil }
        let generation = FileGeneration(number: row[0], base: row[1])
        let files = try DatabaseFiles(db)
        let header = try files.applicationID()
        guard try files.walByteCount() > 0 else { return header }
        guard generation.goes(with: header) else {
            throw SinkError(
                code: SQLITE_CORRUPT,
                "\(path) and \(path)-wal are of different times (the WAL is for generation "
                    + "\(generation.base), the file is of \(header)); one of them was copied "
                    + "without the other")
        }
        return header == generation.number ? header : nil
    }
}

/// The bytes of the database's files. They are read through SQLite's own descriptors, because opening the files
/// again and closing them would release the process's locks.
@safe struct DatabaseFiles {
    private let connection: OpaquePointer

    init(_ db: Database) throws(SinkError) {
        guard let connection = unsafe db.sqliteConnection else {
            throw SinkError(.gone, "the database is closed")
        }
        unsafe self.connection = unsafe connection
    }

    @unsafe init(_ connection: OpaquePointer) { unsafe self.connection = unsafe connection }

    /// Throws if the file that was opened is not the one in the store's directory. SQLite opens it by its path, which may
    /// have led to another directory at that moment, even if it leads to the right one now.
    ///
    /// To be called before anything is written.
    func checkPlace(on disk: any Disk) throws {
        try disk.checkFence()
        var hasMoved: Int32 = 0
        let code = unsafe sqlite3_file_control(
            connection, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved)
        guard code == SQLITE_OK else {
            throw unsafe SinkError(code, on: connection, doing: "looking where the database is")
        }
        guard hasMoved == 0 else {
            throw SinkError(.gone, "the database was replaced or moved while it was opened")
        }
        try disk.checkFence()
    }

    /// The header of the file, without the WAL.
    func applicationID() throws(SinkError) -> Int64 {
        guard let file = unsafe try file(SQLITE_FCNTL_FILE_POINTER),
            let read = unsafe file.pointee.pMethods?.pointee.xRead
        else { return 0 }
        var bytes: [UInt8] = [0, 0, 0, 0]
        let code = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe read(file, bytes.baseAddress, 4, 68)
        }
        let isShort = code == SQLITE_IOERR | 2 << 8  // …_SHORT_READ: nothing is in the file yet
        guard code == SQLITE_OK || isShort else {
            throw SinkError(code: code, "reading the header of the database")
        }
        return bytes.reduce(0) { $0 << 8 | Int64($1) }
    }

    /// The length of the WAL in bytes; 0 if there is none.
    func walByteCount() throws(SinkError) -> Int64 {
        guard let file = unsafe try file(SQLITE_FCNTL_JOURNAL_POINTER),
            let size = unsafe file.pointee.pMethods?.pointee.xFileSize
        else { return 0 }
        var count: Int64 = 0
        let code = unsafe size(file, &count)
        guard code == SQLITE_OK else { throw SinkError(code: code, "looking at the WAL") }
        return count
    }

    @unsafe private func file(
        _ kind: Int32
    ) throws(SinkError) -> UnsafeMutablePointer<sqlite3_file>? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        let code = unsafe sqlite3_file_control(connection, "main", kind, &file)
        guard code == SQLITE_OK else {
            throw unsafe SinkError(code, on: connection, doing: "looking at the database file")
        }
        return unsafe file
    }
}
