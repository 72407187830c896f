import Foundation
import WriteBehind

/// A flight as the board shows it: a row of the table `flight`, with the columns of the CSV.
struct Flight: TableRow, Equatable {
    /// The key of a flight.
    struct Key: RowKey, Hashable {
        /// The day that the airline planned it for, as `2013-01-31`.
        var day: String
        var carrier: String
        var number: Int
        var origin: String

        func encode(to encoder: inout KeyEncoder) {
            encoder.encode(day)
            encoder.encode(carrier)
            encoder.encode(number)
            encoder.encode(origin)
        }

        init(from decoder: inout RowDecoder) throws {
            day = try decoder.decode()
            carrier = try decoder.decode()
            number = try decoder.decode()
            origin = try decoder.decode()
        }

        init(day: String, carrier: String, number: Int, origin: String) {
            (self.day, self.carrier, self.number, self.origin) = (day, carrier, number, origin)
        }
    }

    enum Status: String, CaseIterable {
        case scheduled, delayed, departed, arrived, cancelled
    }

    static let schema = TableSchema(
        "flight",
        [
            .key("day", .text), .key("carrier", .text), .key("flight", .integer),
            .key("origin", .text),
            .column("dest", .text), .column("status", .text),
            .column("sched_dep_time", .integer),
            .column("dep_time", .integer, nullable: true),
            .column("dep_delay", .integer, nullable: true),
            .column("sched_arr_time", .integer),
            .column("arr_time", .integer, nullable: true),
            .column("arr_delay", .integer, nullable: true),
            .column("tailnum", .text, nullable: true),
            .column("air_time", .integer, nullable: true),
            .column("distance", .integer), .column("hour", .integer), .column("minute", .integer),
            .column("time_hour", .text),
        ])

    var key: Key
    var destination: String
    var status: Status
    /// Times of day are local, as in the CSV: 517 is 5:17.
    var scheduledDeparture: Int
    var departure: Int?
    /// Minutes; negative is early. An estimate until the flight has departed.
    var departureDelay: Int?
    var scheduledArrival: Int
    var arrival: Int?
    var arrivalDelay: Int?
    var tailNumber: String?
    /// Minutes.
    var airTime: Int?
    /// Miles.
    var distance: Int
    var hour: Int
    var minute: Int
    /// The hour of the planned departure, in UTC.
    var timeHour: Date

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(key.day)
        encoder.encode(key.carrier)
        encoder.encode(key.number)
        encoder.encode(key.origin)
        encoder.encode(destination)
        encoder.encode(status.rawValue)
        encoder.encode(scheduledDeparture)
        encoder.encode(departure)
        encoder.encode(departureDelay)
        encoder.encode(scheduledArrival)
        encoder.encode(arrival)
        encoder.encode(arrivalDelay)
        encoder.encode(tailNumber)
        encoder.encode(airTime)
        encoder.encode(distance)
        encoder.encode(hour)
        encoder.encode(minute)
        encoder.encode(timeHour)
    }
}

extension Flight {
    struct UnknownStatus: Error {
        var text: String
    }

    init(from decoder: inout RowDecoder) throws {
        key = Key(
            day: try decoder.decode(), carrier: try decoder.decode(), number: try decoder.decode(),
            origin: try decoder.decode())
        destination = try decoder.decode()
        let text: String = try decoder.decode()
        guard let status = Status(rawValue: text) else { throw UnknownStatus(text: text) }
        self.status = status
        scheduledDeparture = try decoder.decode()
        departure = try decoder.decode()
        departureDelay = try decoder.decode()
        scheduledArrival = try decoder.decode()
        arrival = try decoder.decode()
        arrivalDelay = try decoder.decode()
        tailNumber = try decoder.decode()
        airTime = try decoder.decode()
        distance = try decoder.decode()
        hour = try decoder.decode()
        minute = try decoder.decode()
        timeHour = try decoder.decode()
    }
}
