/// News about a flight.
struct FlightEvent {
    enum Kind: Equatable {
        case scheduled
        /// The board announces that it will leave this many minutes late.
        case delayed(Int)
        case cancelled
        case departed
        case arrived
    }

    /// Minutes since 1970 on the clocks of New York.
    var time: Int
    /// The flight's place in the timetable.
    var flight: Int
    var kind: Kind

    /// Applies the event to a flight's row.
    ///
    /// - Parameter facts: the flight's final state, from the CSV.
    func apply(to row: inout Flight, facts: Flight) {
        switch kind {
        case .scheduled:
            row = facts
            row.status = .scheduled
            (row.departure, row.departureDelay) = (nil, nil)
            (row.arrival, row.arrivalDelay, row.airTime) = (nil, nil, nil)
        case .delayed(let minutes):
            row.status = .delayed
            row.departureDelay = minutes
        case .cancelled:
            row.status = .cancelled
        case .departed:
            row.status = .departed
            (row.departure, row.departureDelay) = (facts.departure, facts.departureDelay)
        case .arrived:
            row.status = .arrived
            (row.arrival, row.arrivalDelay) = (facts.arrival, facts.arrivalDelay)
            row.airTime = facts.airTime
        }
    }

    /// The status that a flight's row has after the event.
    var status: Flight.Status {
        switch kind {
        case .scheduled: .scheduled
        case .delayed: .delayed
        case .cancelled: .cancelled
        case .departed: .departed
        case .arrived: .arrived
        }
    }

    /// Adds the event to the counters of the flight's carrier.
    func count(in carrier: inout CarrierCount) {
        switch kind {
        case .departed: carrier.departed += 1
        case .arrived: carrier.arrived += 1
        case .cancelled: carrier.cancelled += 1
        case .scheduled, .delayed: break
        }
    }

    /// Adds the event to the counters of its ``airport(of:)``.
    func count(in airport: inout AirportCount) {
        switch kind {
        case .departed: airport.departures += 1
        case .arrived: airport.arrivals += 1
        case .scheduled, .delayed, .cancelled: break
        }
    }

    /// The airport where the event is counted; nil if no airport counts it.
    func airport(of flight: Flight) -> String? {
        switch kind {
        case .departed: flight.key.origin
        case .arrived: flight.destination
        case .scheduled, .delayed, .cancelled: nil
        }
    }

    var isCounted: Bool {
        switch kind {
        case .departed, .arrived, .cancelled: true
        case .scheduled, .delayed: false
        }
    }
}

extension FlightEvent {
    /// The events of one flight. The CSV has only the flight's final state, so the events are derived from that.
    ///
    /// - Parameter midnight: the start of its day, minutes since 1970.
    static func events(of flight: Flight, at index: Int, midnight: Int) -> [FlightEvent] {
        let planned = midnight + minutes(ofClock: flight.scheduledDeparture)
        var events = [FlightEvent(time: planned - 180, flight: index, kind: .scheduled)]
        guard flight.departure != nil, let delay = flight.departureDelay else {
            return events + [FlightEvent(time: planned, flight: index, kind: .cancelled)]
        }
        // A delay becomes known step by step: every half hour the board shows a longer delay.
        for late in stride(from: 0, to: delay - 10, by: 30) {
            events.append(
                FlightEvent(
                    time: planned + late, flight: index, kind: .delayed(min(late + 30, delay))))
        }
        events.append(FlightEvent(time: planned + delay, flight: index, kind: .departed))
        guard flight.arrival != nil else { return events }
        // The CSV has the arrival in the destination's local time. Time in the air and a quarter
        // of an hour on the ground give it in New York's.
        let flown = (flight.airTime ?? 120) + 15
        events.append(FlightEvent(time: planned + delay + flown, flight: index, kind: .arrived))
        return events
    }

    /// 517 is 5:17.
    private static func minutes(ofClock clock: Int) -> Int { clock / 100 * 60 + clock % 100 }
}
