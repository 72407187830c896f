import ArgumentParser
import EventLog
import WriteBehind
import WriteBehindCore
import WriteBehindInspection
import WriteBehindSQLite

#if PostgreSQL
    import WriteBehindPostgreSQL
#endif

/// The PostgreSQL database into which `--postgresql` plays the flights.
struct ServerDatabase: Sendable {
    let address: String
    /// The address without a password.
    let name: String

    #if PostgreSQL
        /// - Throws: if the database cannot be read, or a store has tables in it already.
        init(_ address: String) throws {
            self.address = address
            let database = InspectedPostgreSQL(address)
            name = database.name
            // Any store but those that there are.
            switch database.state(of: StoreID(low: 0, high: 0)) {
            case .empty: break
            case .unreadable(let error): throw ValidationError("\(name): \(error.message)")
            default:
                throw ValidationError(
                    "\(name) holds tables of another store. Name an empty database (createdb makes one)."
                )
            }
        }

        func open(at directory: String) async throws -> Store {
            try await Store(at: directory, database: .postgreSQL(address))
        }

        private var inspected: any InspectedDatabase { InspectedPostgreSQL(address) }
    #else
        init(_ address: String) throws {
            throw ValidationError(
                "This flightboard was built without PostgreSQL; build it with --traits PostgreSQL, "
                    + "as tools/demo does.")
        }

        func open(at directory: String) async throws -> Store { try await Store(at: directory) }

        private var inspected: any InspectedDatabase { InspectedSQLite(name, isLive: false) }
    #endif

    /// Compares every row with the log, as `writebehind verify --postgresql` does.
    func verify(_ directory: String) throws -> DatabaseVerification {
        let store = try StoreInspection(path: directory, database: inspected)
        return try DatabaseVerification(store) { _, _ in }
    }

    /// The server's answer to ``CarrierDelays/sql``, from its rows.
    func carrierDelays(_ directory: String) throws -> CarrierDelays {
        let store = try StoreInspection(path: directory, database: inspected)
        let schema = Flight.schema
        guard let table = store.database.contents?.tables.first(where: { $0.schema == schema }),
            let carrier = schema.columns.firstIndex(where: { $0.name == "carrier" }),
            let delay = schema.columns.firstIndex(where: { $0.name == "dep_delay" })
        else { return CarrierDelays([:]) }
        var delays: [String: (minutes: Int, count: Int)] = [:]
        try inspected.read(store.identity.storeID) { transaction in
            guard case .rows(let source) = try transaction.rows(of: table) else { return }
            let run = StoredRun(source)
            run.fill()
            while !run.isEmpty {
                if let failure = run.failure { throw failure }
                let bytes = run.bytes
                for row in run.rows {
                    let values = try RowCodec.decode(
                        key: bytes.span.extracting(row.key), row: bytes.span.extracting(row.body),
                        schema)
                    guard case .text(let name) = values[carrier],
                        case .integer(let minutes) = values[delay]
                    else { continue }
                    delays[name, default: (0, 0)].minutes += Int(minutes)
                    delays[name, default: (0, 0)].count += 1
                }
                run.fill()
            }
        }
        return CarrierDelays(delays)
    }
}
