import WriteBehind

/// A way of keeping a cache and a database together.
protocol CachingPattern: Sendable {
    /// Shows an event, and returns when this pattern says that it is done.
    mutating func show(_ event: FlightEvent, of facts: Flight) async throws
    /// Looks up a flight.
    mutating func lookUp(_ key: Flight.Key) async throws -> Flight?
    /// Returns when everything is in the database.
    mutating func finish() async throws
}

/// Write-behind: the store answers when the write is in its log, and the database follows.
struct WriteBehindPattern: CachingPattern {
    let board: Board

    func show(_ event: FlightEvent, of facts: Flight) async throws {
        try await board.show(event, of: facts)
    }

    func lookUp(_ key: Flight.Key) async throws -> Flight? { try await board.flights.get(key) }

    func finish() async throws {
        try await board.store.waitForAll(.materialized, timeout: .seconds(600))
        try await board.store.close()
    }
}

/// Write-through and cache-aside: every write waits for the database.
struct DatabaseFirst: CachingPattern {
    enum Cached {
        /// Write-through: then the cache gets the row.
        case written
        /// Cache-aside: then the cache drops the row; the next lookup reads it from the database.
        case dropped
    }

    let database: PlainDatabase
    let cached: Cached
    private var cache: [Flight.Key: Flight] = [:]

    init(_ database: PlainDatabase, _ cached: Cached) {
        self.database = database
        self.cached = cached
    }

    mutating func show(_ event: FlightEvent, of facts: Flight) async throws {
        var row = facts
        if event.kind != .scheduled { row = try await lookUp(facts.key) ?? facts }
        event.apply(to: &row, facts: facts)
        try database.write(row, event)
        cache[row.key] = cached == .written ? row : nil
    }

    mutating func lookUp(_ key: Flight.Key) async throws -> Flight? {
        if let row = cache[key] { return row }
        guard let row = try database.read(key) else { return nil }
        cache[key] = row
        return row
    }

    func finish() throws { try database.close() }
}
