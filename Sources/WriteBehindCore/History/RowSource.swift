package import EventLog

/// A row, or a change of one, with its place in history.
package struct HistoryRow: Equatable, Sendable {
    package var row: SnapshotRow
    package var key: [UInt8]
    package var body: [UInt8]

    package init(row: SnapshotRow, key: [UInt8], body: [UInt8]) {
        self.row = row
        self.key = key
        self.body = body
    }

    package var table: UInt32 { row.table }

    package func isBefore(_ other: HistoryRow) -> Bool {
        if table != other.table { return table < other.table }
        return key.span.precedes(other.key.span)
    }
}

/// Rows in the order of tables and keys, each at most once. They are read without copying them.
protocol RowSource: AnyObject {
    /// Goes to the next row; false behind the last.
    func next() throws(HistoryError) -> Bool
    /// The row that the last ``next()`` went to.
    var row: SnapshotRow { get }
    /// Gives `body` the row's key and body, without copying them.
    func withRow(
        _ body: (_ key: Span<UInt8>, _ body: Span<UInt8>) throws(HistoryError) -> Void
    ) throws(HistoryError)
}

extension RowSource {
    func copy() throws(HistoryError) -> HistoryRow {
        var copy = HistoryRow(row: row, key: [], body: [])
        try withRow { (key, body) throws(HistoryError) in
            copy.key = Array(copying: key)
            copy.body = Array(copying: body)
        }
        return copy
    }
}

/// The rows of a snapshot or of a run.
final class FileRows: RowSource {
    private let reader: SnapshotReader
    /// Keeps the file from being removed.
    private let run: RunFile?

    init(_ reader: SnapshotReader, run: RunFile? = nil) {
        self.reader = reader
        self.run = run
    }

    func next() throws(HistoryError) -> Bool {
        do throws(SnapshotError) {
            return try reader.next()
        } catch {
            throw .snapshot(error)
        }
    }

    var row: SnapshotRow { reader.row }

    func withRow(
        _ body: (_ key: Span<UInt8>, _ body: Span<UInt8>) throws(HistoryError) -> Void
    ) throws(HistoryError) {
        let rows = reader.rows
        let payload = rows.payload.span
        try body(payload.extracting(rows.key), payload.extracting(rows.body))
    }
}

/// A temporary file of sorted changes, or the name for one. It is removed when the object is released, so the object must
/// be there before the file: if making the file fails, there may be a part of it.
final class RunFile {
    let path: String
    /// How many times its changes were merged into a longer run.
    let level: Int
    private let disk: any Disk

    init(_ path: String, on disk: any Disk, level: Int = 0) {
        self.path = path
        self.disk = disk
        self.level = level
    }

    deinit {
        // If this fails, the file is removed at the next start, because its name is a temporary one.
        try? disk.remove(path)
    }
}
