/// The flights of a file, and their events in the order of time.
struct Timetable: Sendable {
    /// The flights in their final state, as in the CSV.
    var flights: [Flight]
    var events: [FlightEvent]

    init(_ parsed: [FlightFile.Entry]) {
        flights = parsed.map(\.flight)
        events = []
        events.reserveCapacity(parsed.count * 4)
        for (index, entry) in parsed.enumerated() {
            events += FlightEvent.events(of: entry.flight, at: index, midnight: entry.midnight)
        }
        // The events of one flight stay in order, so the same file always gives the same sequence of events.
        let order = events.indices.sorted {
            (events[$0].time, $0) < (events[$1].time, $1)
        }
        events = order.map { events[$0] }
    }

    func facts(_ event: FlightEvent) -> Flight { flights[event.flight] }

    func key(_ event: FlightEvent) -> Flight.Key { flights[event.flight].key }

    /// "January 2013", or the first and the last day.
    var period: String {
        let days = flights.map(\.key.day)
        guard let first = days.min(), let last = days.max() else { return "no days" }
        return "\(first) to \(last)"
    }
}

/// The expected rows after the first events, computed in memory without a store.
struct Expectation {
    private(set) var flights: [Flight?]
    private(set) var carriers: [String: CarrierCount] = [:]
    private(set) var airports: [String: AirportCount] = [:]

    init(_ timetable: Timetable, after count: Int) {
        flights = Array(repeating: nil, count: timetable.flights.count)
        for event in timetable.events.prefix(count) {
            let facts = timetable.facts(event)
            event.apply(to: &flights[event.flight, default: facts], facts: facts)
            guard event.isCounted else { continue }
            let carrier = facts.key.carrier
            event.count(in: &carriers[carrier, default: CarrierCount(carrier)])
            guard let airport = event.airport(of: facts) else { continue }
            event.count(in: &airports[airport, default: AirportCount(airport)])
        }
    }
}

extension [Flight?] {
    fileprivate subscript(index: Int, default facts: Flight) -> Flight {
        get { self[index] ?? facts }
        set { self[index] = newValue }
    }
}
