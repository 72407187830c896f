package import EventLog
import Foundation
package import WriteBehindCore

/// A PostgreSQL database as others see it than the store's writer: read in transactions that cannot write, without a claim.
/// A standby will do as well.
package struct InspectedPostgreSQL: InspectedDatabase {
    private let options: PostgreSQLOptions
    private let namespace: String?

    /// - Parameter namespace: the schema of the tables; nil for the one in which the store has them.
    package init(_ address: String, schema namespace: String? = nil) {
        options = PostgreSQLOptions(address) { 0 }
        self.namespace = namespace
    }

    /// The address without what must stay secret.
    package var name: String { PostgreSQLAddress.shown(options.address) }

    package func state(of store: StoreID) -> DatabaseState {
        do throws(SinkError) {
            return try reading { connection throws(SinkError) in
                try state(store.bytes, connection)
            }
        } catch {
            return .unreadable(error)
        }
    }

    /// The schema in which the store has its tables; nil if it has none.
    package func schema(of store: StoreID) throws(SinkError) -> String? {
        try reading { connection throws(SinkError) in
            guard try Self.holdsStores(connection) else { return nil }
            return try Self.namespaces(of: store.bytes, connection).values.sorted().first
        }
    }

    package func read<Result>(
        _ store: StoreID, _ body: (any InspectedTransaction) throws -> Result
    ) throws -> Result {
        var result: Swift.Result<Result, any Error>?
        try reading { connection throws(SinkError) in
            let transaction = try Transaction(store.bytes, namespace, connection)
            result = Swift.Result { try body(transaction) }
        }
        guard let result else { throw SinkError(.gone, "nothing was read") }
        return try result.get()
    }

    package func sizes(_ store: StoreID) throws(SinkError) -> DatabaseSizes {
        try reading { connection throws(SinkError) in
            let rows = try connection.run(Self.sizes, Self.parameters(store.bytes))
            var sizes: [DatabaseSizes.Size] = []
            for row in 0..<rows.rowCount {
                sizes.append(
                    DatabaseSizes.Size(
                        table: rows.text(row, 0) ?? "", bytes: Int(rows.integer(row, 1) ?? 0)))
            }
            return DatabaseSizes(tables: sizes, free: nil)
        }
    }

    // MARK: transactions

    /// Runs `body` in one snapshot of the database.
    private func reading<Result>(
        _ body: (PostgreSQLConnection) throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        let connection = try PostgreSQLConnection(options, stop: PostgreSQLStop())
        try connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        // With the session ends the transaction, which has nothing to keep.
        return try body(connection)
    }

    private static func parameters(_ store: [UInt8]) -> PostgreSQLParameters {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        return parameters
    }

    private static func holdsStores(_ connection: PostgreSQLConnection) throws(SinkError) -> Bool {
        try connection.run(
            "SELECT to_regclass('writebehind.watermark') IS NOT NULL", PostgreSQLParameters()
        ).boolean(0, 0)
    }

    fileprivate static func namespaces(
        of store: [UInt8], _ connection: PostgreSQLConnection
    ) throws(SinkError) -> [UInt32: String] {
        let rows = try connection.run(
            "SELECT id, namespace FROM writebehind.tables WHERE store = $1::bytea",
            parameters(store))
        var namespaces: [UInt32: String] = [:]
        for row in 0..<rows.rowCount {
            namespaces[UInt32(truncatingIfNeeded: rows.integer(row, 0) ?? 0)] = rows.text(row, 1)
        }
        return namespaces
    }

    fileprivate static func watermark(
        of store: [UInt8], _ connection: PostgreSQLConnection
    ) throws(SinkError) -> (Watermark, appliedAt: Int64)? {
        let row = try connection.run(
            """
            SELECT sequence, chain, (extract(epoch FROM applied_at) * 1000000)::bigint \
            FROM writebehind.watermark WHERE store = $1::bytea
            """, parameters(store))
        guard row.rowCount == 1, let sequence = row.integer(0, 0) else { return nil }
        guard sequence >= 0 else {
            throw SinkError(.corrupt, "the database's watermark is \(sequence)")
        }
        let watermark = Watermark(
            sequence: UInt64(sequence), chain: UInt64(bitPattern: row.integer(0, 1) ?? 0))
        return (watermark, row.integer(0, 2) ?? 0)
    }

    /// The rows of a partitioned table, and its indices, are in its partitions. Any other table is no tree.
    private static let sizes = """
        SELECT name, coalesce((SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree(oid)), \
        pg_total_relation_size(oid), 0) FROM (SELECT name, to_regclass(format('%I.%I', namespace, name)) AS oid \
        FROM writebehind.tables WHERE store = $1::bytea) AS t ORDER BY 2 DESC, 1
        """

    private func state(
        _ store: [UInt8], _ connection: PostgreSQLConnection
    ) throws(SinkError) -> DatabaseState {
        guard try Self.holdsStores(connection) else { return .empty }
        let tables = try PostgreSQLWriter.tables(connection, store)
        guard let (watermark, appliedAt) = try Self.watermark(of: store, connection) else {
            guard tables.isEmpty else {
                throw SinkError(.corrupt, "the store's row in writebehind.watermark is missing")
            }
            let others = try connection.run("SELECT 1 FROM writebehind.watermark LIMIT 1")
            return others.rowCount > 0 ? .foreign : .empty
        }
        let sizes = try connection.run(Self.sizes, Self.parameters(store))
        let bytes = (0..<sizes.rowCount).reduce(0) { $0 + Int(sizes.integer($1, 1) ?? 0) }
        return .readable(
            DatabaseContents(
                watermark: watermark, appliedAt: appliedAt, tables: tables,
                quarantine: try QuarantineTables(connection, store).load(), bytes: bytes))
    }

    private struct Transaction: InspectedTransaction {
        private let store: [UInt8]
        private let connection: PostgreSQLConnection
        private let namespaces: [UInt32: String]
        private let namespace: String?

        init(
            _ store: [UInt8], _ namespace: String?, _ connection: PostgreSQLConnection
        ) throws(SinkError) {
            (self.store, self.namespace, self.connection) = (store, namespace, connection)
            namespaces = try InspectedPostgreSQL.namespaces(of: store, connection)
        }

        func watermark() throws -> Watermark? {
            try InspectedPostgreSQL.watermark(of: store, connection)?.0
        }

        func quarantine() throws -> QuarantineIndex {
            try QuarantineTables(connection, store).load()
        }

        func added(to table: TableDefinition) throws -> [Int: Int128]? {
            guard table.schema.isShared else { return nil }
            var parameters = InspectedPostgreSQL.parameters(store)
            parameters.append(Int64(table.id))
            let rows = try connection.run(
                """
                SELECT place, sum::text FROM writebehind.applied WHERE store = $1::bytea AND table_id = $2::bigint
                """, parameters)
            var sums: [Int: Int128] = [:]
            for row in 0..<rows.rowCount {
                guard let sum = rows.text(row, 1).flatMap({ Int128($0) }) else {
                    throw SinkError(.corrupt, "a sum in writebehind.applied is no integer")
                }
                sums[Int(rows.integer(row, 0) ?? 0)] = sum
            }
            return sums
        }

        func rows(of definition: TableDefinition) throws -> InspectedTable {
            let table = PostgreSQLTable(
                definition, in: namespace ?? namespaces[definition.id] ?? "public")
            guard try TableShape.exists(table, connection) else { return .missing }
            if let reason = try TableShape.obstacle(toReading: table, connection) {
                return .unfit(reason: reason)
            }
            return .rows(try PostgreSQLRows(table, connection))
        }
    }
}
