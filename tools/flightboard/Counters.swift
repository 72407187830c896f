import WriteBehind

/// The counters of a carrier so far: a row of the table `carrier`.
struct CarrierCount: TableRow, Equatable {
    typealias Key = String

    static let schema = TableSchema(
        "carrier",
        [
            .key("carrier", .text), .column("departed", .integer), .column("arrived", .integer),
            .column("cancelled", .integer),
        ])

    var carrier: String
    var departed = 0
    var arrived = 0
    var cancelled = 0

    init(_ carrier: String) { self.carrier = carrier }

    init(from decoder: inout RowDecoder) throws {
        carrier = try decoder.decode()
        departed = try decoder.decode()
        arrived = try decoder.decode()
        cancelled = try decoder.decode()
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(carrier)
        encoder.encode(departed)
        encoder.encode(arrived)
        encoder.encode(cancelled)
    }
}

/// The counters of an airport so far: a row of the table `airport`.
struct AirportCount: TableRow, Equatable {
    typealias Key = String

    static let schema = TableSchema(
        "airport",
        [
            .key("airport", .text), .column("departures", .integer),
            .column("arrivals", .integer),
        ])

    var airport: String
    var departures = 0
    var arrivals = 0

    init(_ airport: String) { self.airport = airport }

    init(from decoder: inout RowDecoder) throws {
        airport = try decoder.decode()
        departures = try decoder.decode()
        arrivals = try decoder.decode()
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(airport)
        encoder.encode(departures)
        encoder.encode(arrivals)
    }
}
