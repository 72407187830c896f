import WriteBehind

/// The flight board: three tables of a store, and what each event does to them.
struct Board: Sendable {
    let store: Store
    let flights: StoredTable<Flight>
    let carriers: StoredTable<CarrierCount>
    let airports: StoredTable<AirportCount>

    init(_ store: Store) throws {
        self.store = store
        flights = try store.table(Flight.self)
        carriers = try store.table(CarrierCount.self)
        airports = try store.table(AirportCount.self)
    }

    /// Shows an event. When it returns, the event survives `kill -9`.
    @discardableResult
    func show(_ event: FlightEvent, of facts: Flight) async throws -> Receipt? {
        switch event.kind {
        case .scheduled:
            // Puts a whole row, without a read.
            var row = facts
            event.apply(to: &row, facts: facts)
            return try flights.put(row)
        case .delayed:
            // Only the columns that change are logged.
            return try await flights.update(facts.key) { event.apply(to: &$0, facts: facts) }
        case .departed, .arrived, .cancelled:
            // The flight and the counters change together: all three or none.
            return try await store.transaction { transaction in
                try await transaction.update(facts.key, in: flights) {
                    event.apply(to: &$0, facts: facts)
                }
                try await count(event, of: facts, in: &transaction)
            }
            .receipt
        }
    }

    private func count(
        _ event: FlightEvent, of facts: Flight, in transaction: inout Transaction
    ) async throws {
        let carrier = facts.key.carrier
        do {
            try await transaction.update(carrier, in: carriers) { event.count(in: &$0) }
        } catch StoreError.noSuchRow {
            var first = CarrierCount(carrier)
            event.count(in: &first)
            try transaction.put(first, in: carriers)
        }
        guard let airport = event.airport(of: facts) else { return }
        do {
            try await transaction.update(airport, in: airports) { event.count(in: &$0) }
        } catch StoreError.noSuchRow {
            var first = AirportCount(airport)
            event.count(in: &first)
            try transaction.put(first, in: airports)
        }
    }
}
