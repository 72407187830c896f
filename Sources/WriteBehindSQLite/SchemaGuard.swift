import GRDB
import GRDBSQLite
import WriteBehindCore

/// Finds what in the database would change the store's tables without the log.
///
/// Foreign-key actions on a row of a store table, and triggers that write such a table, change rows without a
/// record in the log. Triggers that write users' own tables are allowed. The effects of
/// triggers are not guessed from their text: SQLite reports them while it compiles the store's statements.
/// A separate connection is used for that, because on the others GRDB already uses that callback.
enum SchemaGuard {
    struct Finding {
        /// For each store table, by its name: the users' tables that triggers write when it changes.
        var targets: [String: Set<String>] = [:]
        /// False if a statement does not compile because a user's virtual table cannot be opened. Changes that
        /// need this table are refused one by one. The schema does not change when it can be opened again.
        var isComplete = true
    }

    /// - Throws: `.schema`, naming the table and the trigger or foreign key.
    static func check(_ tables: [TableSQL], in db: Database) throws(SinkError) -> Finding {
        let names = Set(tables.map { foldedName($0.schema.name) })
        for table in tables { try checkForeignKeys(of: table.schema.name, in: db) }
        var finding = Finding()
        let path = try throwingSinkError { try databasePath(db) }
        // A database in memory has no path, and only its store can make a trigger in it.
        guard !tables.isEmpty, !path.isEmpty else { return finding }
        let probe = try Probe(path: path)
        for table in tables {
            let writes: Set<Probe.Write>
            do throws(SinkError) {
                writes = try probe.writesOfTriggers(table)
            } catch {
                guard error.kind == .constraint else { throw error }
                finding.isComplete = false
                continue
            }
            for write in writes {
                let isOurs = write.table.lowercased().hasPrefix("_writebehind")
                guard !isOurs, !names.contains(foldedName(write.table)) else {
                    throw SinkError(
                        .schema,
                        """
                        trigger \(quoted(write.trigger)) writes table \(quoted(write.table)) when \
                        table \(quoted(table.schema.name)) changes; drop it: the store's tables \
                        change only as its log says
                        """)
                }
            }
            finding.targets[table.schema.name] = Set(writes.map(\.table))
        }
        return finding
    }

    private static func databasePath(_ db: Database) throws -> String {
        // `pragma_database_list` is not used, because it may be a table of the store.
        let databases = try Row.fetchAll(db, sql: "PRAGMA database_list")
        return databases.first { $0["name"] == "main" }?["file"] ?? ""
    }

    private static func checkForeignKeys(
        of table: String, in db: Database
    ) throws(SinkError) {
        let keys = try throwingSinkError {
            try Row.fetchAll(db, sql: "PRAGMA foreign_key_list(\(quoted(table)))")
        }
        let writes: Set = ["CASCADE", "SET NULL", "SET DEFAULT"]
        let key = keys.first { !writes.isDisjoint(with: [$0["on_update"], $0["on_delete"]]) }
        guard let key else { return }
        let parent: String = key["table"]
        let column: String = key["from"]
        let update: String = key["on_update"]
        let delete: String = key["on_delete"]
        throw SinkError(
            .schema,
            """
            column \(quoted(column)) of table \(quoted(table)) refers to table \(quoted(parent)) \
            with ON UPDATE \(update) ON DELETE \(delete); use NO ACTION or RESTRICT: the store's \
            tables change only as its log says
            """)
    }
}

/// A connection that only compiles statements, and never runs them.
@safe private final class Probe {
    struct Write: Hashable {
        var trigger: String
        var table: String
    }

    private var connection: OpaquePointer?
    private var writes: Set<Write> = []

    init(path: String) throws(SinkError) {
        let code = unsafe sqlite3_open_v2(path, &connection, SQLITE_OPEN_READONLY, nil)
        guard code == SQLITE_OK else {
            throw unsafe SinkError(code, on: connection, doing: "opening \(path)")
        }
        _ = unsafe sqlite3_extended_result_codes(connection, 1)
        _ = unsafe sqlite3_busy_timeout(connection, 1_000)
        let settings = "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY"
        _ = unsafe sqlite3_exec(connection, settings, nil, nil, nil)
        _ = unsafe sqlite3_set_authorizer(
            connection,
            { context, action, table, _, _, trigger in
                let isWrite = [SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE].contains(action)
                guard isWrite, let context = unsafe context, let table = unsafe table,
                    let trigger = unsafe trigger
                else { return SQLITE_OK }
                let probe = unsafe Unmanaged<Probe>.fromOpaque(context).takeUnretainedValue()
                probe.writes.insert(
                    Write(
                        trigger: unsafe String(cString: trigger),
                        table: unsafe String(cString: table)))
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { _ = unsafe sqlite3_close_v2(connection) }

    /// Compiles all statements for a table, and returns the writes of triggers that SQLite reports.
    func writesOfTriggers(_ sql: TableSQL) throws(SinkError) -> Set<Write> {
        writes = []
        guard let connection = unsafe connection else { return [] }
        var statements = [sql.put, sql.delete, sql.select]
        let columns = sql.schema.valueColumns.indices.filter {
            !sql.schema.valueColumns[$0].isDropped
        }
        if !columns.isEmpty { statements.append(sql.patch(columns)) }
        for statement in statements {
            _ = unsafe try PreparedStatement(statement, on: connection)
        }
        return writes
    }
}
