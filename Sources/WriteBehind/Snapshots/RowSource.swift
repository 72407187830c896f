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

    func isBefore(_ other: HistoryRow) -> Bool {
        if table != other.table { return table < other.table }
        return key.span.precedes(other.key.span)
    }

    func isSameRow(_ other: HistoryRow) -> Bool { table == other.table && key == other.key }
}

/// Rows in the order of tables and keys, each at most once.
protocol RowSource: AnyObject {
    func next() throws(HistoryError) -> HistoryRow?
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

    func next() throws(HistoryError) -> HistoryRow? {
        do throws(SnapshotError) {
            guard try reader.next() else { return nil }
        } catch {
            throw .snapshot(error)
        }
        return HistoryRow(
            row: reader.row, key: reader.withKey { Array(copying: $0) },
            body: reader.withBody { Array(copying: $0) })
    }
}

/// A temporary file of sorted changes; it is gone with the object.
final class RunFile {
    let path: String
    private let disk: any Disk

    init(_ path: String, on disk: any Disk) {
        self.path = path
        self.disk = disk
    }

    deinit {
        // What is left behind has a temporary name and is removed at the next start.
        try? disk.remove(path)
    }
}
