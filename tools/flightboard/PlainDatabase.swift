import Foundation
import GRDB

/// The same tables in a SQLite database without a store, with the settings that the store gives its own.
final class PlainDatabase: Sendable {
    private let pool: DatabasePool
    /// The extra time of each write, in seconds.
    private let delay: Double

    init(path: String, delay: Double) throws {
        self.delay = delay
        var configuration = Configuration()
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA mmap_size = 0;
                    PRAGMA cache_size = -32768;
                    PRAGMA synchronous = NORMAL;
                    """)
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        try pool.write { try $0.execute(sql: Self.schema) }
    }

    /// Writes a flight's row, and its carrier's and airport's counters, in one transaction.
    func write(_ row: Flight, _ event: FlightEvent) throws {
        try pool.write { db in
            try db.cachedStatement(sql: Self.upsert).execute(arguments: Self.arguments(row))
            if event.isCounted {
                var counts = CarrierCount(row.key.carrier)
                event.count(in: &counts)
                try db.cachedStatement(sql: Self.countCarrier).execute(arguments: [
                    counts.carrier, counts.departed, counts.arrived, counts.cancelled,
                ])
            }
            if let airport = event.airport(of: row) {
                var counts = AirportCount(airport)
                event.count(in: &counts)
                try db.cachedStatement(sql: Self.countAirport).execute(arguments: [
                    airport, counts.departures, counts.arrivals,
                ])
            }
            if delay > 0 { Thread.sleep(forTimeInterval: delay) }
        }
    }

    func read(_ key: Flight.Key) throws -> Flight? {
        try pool.read { db in
            let statement = try db.cachedStatement(sql: Self.select)
            let row = try Row.fetchOne(
                statement, arguments: [key.day, key.carrier, key.number, key.origin])
            return row.map(Flight.init(row:))
        }
    }

    func close() throws { try pool.close() }
}

extension PlainDatabase {
    private static let schema = """
        CREATE TABLE flight (
          day TEXT NOT NULL, carrier TEXT NOT NULL, flight INTEGER NOT NULL, origin TEXT NOT NULL,
          dest TEXT NOT NULL, status TEXT NOT NULL, sched_dep_time INTEGER NOT NULL,
          dep_time INTEGER, dep_delay INTEGER, sched_arr_time INTEGER NOT NULL,
          arr_time INTEGER, arr_delay INTEGER, tailnum TEXT, air_time INTEGER,
          distance INTEGER NOT NULL, hour INTEGER NOT NULL, minute INTEGER NOT NULL,
          time_hour TEXT NOT NULL, PRIMARY KEY (day, carrier, flight, origin)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE carrier (
          carrier TEXT PRIMARY KEY NOT NULL, departed INTEGER NOT NULL, arrived INTEGER NOT NULL,
          cancelled INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE airport (
          airport TEXT PRIMARY KEY NOT NULL, departures INTEGER NOT NULL, arrivals INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    private static let upsert = """
        INSERT INTO flight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET status = excluded.status, dep_time = excluded.dep_time,
          dep_delay = excluded.dep_delay, arr_time = excluded.arr_time,
          arr_delay = excluded.arr_delay, air_time = excluded.air_time
        """

    private static let countCarrier = """
        INSERT INTO carrier VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET departed = departed + excluded.departed,
          arrived = arrived + excluded.arrived, cancelled = cancelled + excluded.cancelled
        """

    private static let countAirport = """
        INSERT INTO airport VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET departures = departures + excluded.departures,
          arrivals = arrivals + excluded.arrivals
        """

    private static let select = """
        SELECT * FROM flight WHERE day = ? AND carrier = ? AND flight = ? AND origin = ?
        """

    private static func arguments(_ row: Flight) -> StatementArguments {
        [
            row.key.day, row.key.carrier, row.key.number, row.key.origin, row.destination,
            row.status.rawValue, row.scheduledDeparture, row.departure, row.departureDelay,
            row.scheduledArrival, row.arrival, row.arrivalDelay, row.tailNumber, row.airTime,
            row.distance, row.hour, row.minute, row.timeHour,
        ]
    }
}

extension Flight {
    /// A flight from a row of the SQL table `flight`.
    init(row: Row) {
        self.init(
            key: Key(day: row[0], carrier: row[1], number: row[2], origin: row[3]),
            destination: row[4], status: Status(rawValue: row[5]) ?? .scheduled,
            scheduledDeparture: row[6], departure: row[7], departureDelay: row[8],
            scheduledArrival: row[9], arrival: row[10], arrivalDelay: row[11], tailNumber: row[12],
            airTime: row[13], distance: row[14], hour: row[15], minute: row[16],
            timeHour: row[17])
    }
}
