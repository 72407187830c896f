package import EventLog

/// A database as others see it than its writer: read, and never changed.
package protocol InspectedDatabase: Sendable {
    /// Its path or address, for messages.
    var name: String { get }

    /// What its own tables say of a store.
    func state(of store: StoreID) -> DatabaseState

    /// Runs `body` in one transaction, so that the database stays at one watermark.
    func read<Result>(
        _ store: StoreID, _ body: (any InspectedTransaction) throws -> Result
    ) throws -> Result

    /// The room of its tables. Reads every page of a database that does not know it otherwise.
    func sizes(_ store: StoreID) throws(SinkError) -> DatabaseSizes
}

/// What a database's own tables say of a store.
package enum DatabaseState: Sendable, Equatable {
    /// There is none yet.
    case missing
    /// It is a server's, and has nothing of any store.
    case empty
    /// It is no file of the store's directory, and nobody has looked at it. The place is as its writer reported it.
    case elsewhere(String)
    case readable(DatabaseContents)
    /// It is damaged (`.corrupt`), or cannot be read now.
    case unreadable(SinkError)
    /// It is a database, but it belongs to another store or another program.
    case foreign
}

package struct DatabaseContents: Sendable, Equatable {
    package var watermark: Watermark
    /// Microseconds since 1970.
    package var appliedAt: Int64
    package var tables: [TableDefinition]
    package var quarantine: QuarantineIndex
    /// By their names.
    package var projections: [StoredProjection]
    /// The room of the store's tables; nil for a file, whose size is known otherwise.
    package var bytes: Int?

    package init(
        watermark: Watermark, appliedAt: Int64, tables: [TableDefinition],
        quarantine: QuarantineIndex, projections: [StoredProjection] = [], bytes: Int? = nil
    ) {
        (self.watermark, self.appliedAt, self.tables) = (watermark, appliedAt, tables)
        (self.quarantine, self.projections, self.bytes) = (quarantine, projections, bytes)
    }

    /// The commits that were refused; others follow them.
    package var quarantined: [QuarantinedCommit] { quarantine.all }
}

/// The room of tables in a database, with their indices, in bytes of whole pages.
package struct DatabaseSizes: Sendable, Equatable {
    package struct Size: Sendable, Equatable {
        package var table: String
        package var bytes: Int

        package init(table: String, bytes: Int) { (self.table, self.bytes) = (table, bytes) }
    }

    /// The tables, biggest first, with the database's and the store's own tables.
    package let tables: [Size]
    /// Pages that are not used at present; nil if that is not known.
    package let free: Int?
    package var total: Int { tables.reduce(free ?? 0) { $0 + $1.bytes } }

    package init(tables: [Size], free: Int?) { (self.tables, self.free) = (tables, free) }

    /// The bytes of one table; nil if the database does not have it.
    package func bytes(of table: String) -> Int? { tables.first { $0.table == table }?.bytes }
}

/// A database in a transaction that reads.
package protocol InspectedTransaction {
    /// nil if the store has none there.
    func watermark() throws -> Watermark?
    func quarantine() throws -> QuarantineIndex
    /// What the store has added to each column of a shared table, by the columns' places; nil if the table is only this
    /// store's, so that its rows are the fold of the log.
    func added(to table: TableDefinition) throws -> [Int: Int128]?
    /// The rows of a table, in the order of their keys. One table at a time is read.
    func rows(of table: TableDefinition) throws -> InspectedTable
}

extension InspectedTransaction {
    package func added(to table: TableDefinition) throws -> [Int: Int128]? { nil }
}

package enum InspectedTable {
    case missing
    /// Its columns are not the ones that the store defined.
    case unfit(reason: String)
    case rows(any StoredRowSource)
}

/// The rows of one table, in the order of their keys, in the form of the log.
package protocol StoredRowSource: AnyObject, Sendable {
    /// Appends the rows that come next, until the run is full; none behind the last.
    func fill(_ run: StoredRun) throws(SinkError)

    /// The columns, counted among those outside the key, whose values the database gives back in a spelling of its own.
    var respelled: Set<Int> { get }
    /// Whether the database takes two texts for the same value of such a column. Not while a run is filled.
    func areEqual(_ pairs: [RespelledPair]) throws(SinkError) -> [Bool]
}

extension StoredRowSource {
    package var respelled: Set<Int> { [] }
    package func areEqual(_ pairs: [RespelledPair]) throws(SinkError) -> [Bool] {
        pairs.map { $0.log == $0.database }
    }
}

/// A value as the log has it and as the database spells it.
package struct RespelledPair: Sendable, Equatable {
    package var column: Int
    package var log: String
    package var database: String

    package init(column: Int, log: String, database: String) {
        (self.column, self.log, self.database) = (column, log, database)
    }
}

/// Some of a table's rows, read together, while others are compared.
///
/// `@unchecked Sendable`: nothing is locked. One thread at a time uses a run, or two runs of one table.
package final class StoredRun: @unchecked Sendable {
    package struct Row {
        /// The places of key and body in ``bytes``.
        package var key: Range<Int>
        package var body: Range<Int>
        /// Why the row cannot be encoded.
        package var fault: String?
    }

    /// Enough rows that handing them from thread to thread costs little in comparison; and the bytes beyond which no row is
    /// added.
    private static let (rowLimit, byteLimit) = (8192, 2 << 20)

    private let source: any StoredRowSource
    package private(set) var bytes: [UInt8] = []
    package private(set) var rows: [Row] = []
    /// The error that stopped reading, if any.
    package private(set) var failure: SinkError?

    package init(_ source: any StoredRowSource) {
        self.source = source
    }

    package var isEmpty: Bool { rows.isEmpty && failure == nil }

    package var isFull: Bool { rows.count >= Self.rowLimit || bytes.count >= Self.byteLimit }

    /// Reads the next rows, replacing those before.
    @Sendable package func fill() {
        bytes.removeAll(keepingCapacity: true)
        rows.removeAll(keepingCapacity: true)
        failure = nil
        do throws(SinkError) {
            try source.fill(self)
        } catch {
            failure = error
        }
    }

    package func append(key: [UInt8], body: [UInt8], fault: String?) {
        let start = bytes.count
        let middle = start + key.count
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: body)
        rows.append(Row(key: start..<middle, body: middle..<bytes.count, fault: fault))
    }
}
