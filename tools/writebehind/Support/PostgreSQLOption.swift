import ArgumentParser
import EventLog
import WriteBehind
import WriteBehindCore
import WriteBehindInspection

#if PostgreSQL
    import Foundation
    import WriteBehindPostgreSQL
#endif

/// `--postgresql`, of commands that look at a store's database.
struct PostgreSQLOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The address of the store's database: a postgresql:// URL, or libpq's words.",
            valueName: "url"))
    var postgresql: String?
    @Option(
        name: .customLong("schema"),
        help: ArgumentHelp(
            "With --postgresql: the schema of the tables, if the server does not say.",
            valueName: "name"))
    var namespace: String?

    func validate() throws {
        if namespace != nil, postgresql == nil {
            throw ValidationError("--schema goes with --postgresql.")
        }
        if postgresql != nil { try PostgreSQLTool.check() }
    }

    /// The database of the address; nil if none is given.
    var database: (any InspectedDatabase)? {
        postgresql.map { PostgreSQLTool.inspected($0, schema: namespace) } ?? nil
    }

    func inspect(_ path: String, trustsWitnesses: Bool = true) throws -> StoreInspection {
        try StoreInspection(path: path, trustsWitnesses: trustsWitnesses, database: database)
    }

    /// What opens the database of the address for a store; nil if none is given.
    func opener(for store: StoreID) throws -> (any SinkOpener)? {
        guard let postgresql else { return nil }
        return try PostgreSQLTool.opener(postgresql, schema: namespace, for: store)
    }
}

/// What this tool can do with PostgreSQL, if it was built with it.
enum PostgreSQLTool {
    /// Whether a target is an address and not a file.
    static func isURL(_ text: String) -> Bool {
        ["postgresql://", "postgres://"].contains { text.hasPrefix($0) }
    }

    #if PostgreSQL
        static func check() throws {}

        static func inspected(_ address: String, schema: String?) -> (any InspectedDatabase)? {
            InspectedPostgreSQL(address, schema: schema)
        }

        /// An address without what must stay secret.
        static func shown(_ address: String) -> String { PostgreSQLAddress.shown(address) }

        /// - Parameter store: nil for one that is made.
        static func opener(
            _ address: String, schema: String?, for store: StoreID?
        ) throws -> (any SinkOpener)? {
            let schema =
                try schema ?? store.flatMap { try InspectedPostgreSQL(address).schema(of: $0) }
            return PostgreSQLOpener(options(address, schema))
        }

        /// Fills an empty database with the rows of a replay.
        ///
        /// - Returns: how many rows were written; nil if the work was interrupted.
        static func write(
            _ replay: Replay, of store: StoreID, to address: String, schema: String?,
            progress: @escaping (Int) -> Void, goesOn: @escaping () -> Bool
        ) throws -> Int? {
            let opener = PostgreSQLOpener(options(address, schema))
            do {
                return try replay.write(progress: progress, goesOn: goesOn) {
                    (tables, rows) throws(SinkError) in
                    try opener.fill(for: store, tables, with: rows)
                }
            } catch let error as SinkError {
                throw StoreError.database("\(shown(address)): \(error.message)")
            }
        }

        private static func options(_ address: String, _ schema: String?) -> PostgreSQLOptions {
            var options = PostgreSQLOptions(address) {
                Int64(Date().timeIntervalSince1970 * 1_000_000)
            }
            if let schema { options.namespace = schema }
            return options
        }
    #else
        static func check() throws {
            throw ValidationError(
                "This writebehind was built without PostgreSQL. Install libpq (libpq-dev on Debian) "
                    + "and build one that has it: swift build -c release --product writebehind "
                    + "--disable-default-traits --traits PostgreSQL")
        }

        static func inspected(_ address: String, schema: String?) -> (any InspectedDatabase)? {
            nil
        }

        static func shown(_ address: String) -> String { "a PostgreSQL database" }

        static func opener(
            _ address: String, schema: String?, for store: StoreID?
        ) throws -> (any SinkOpener)? {
            try check()
            return nil
        }

        static func write(
            _ replay: Replay, of store: StoreID, to address: String, schema: String?,
            progress: @escaping (Int) -> Void, goesOn: @escaping () -> Bool
        ) throws -> Int? {
            try check()
            return nil
        }
    #endif
}
