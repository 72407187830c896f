import Foundation

/// Reads flights from a CSV with the columns of nycflights13, plain or compressed with zstd.
struct FlightFile {
    struct Entry {
        var flight: Flight
        /// The start of its day, minutes since 1970.
        var midnight: Int
    }

    /// A fault in a file of flights, in words for the user.
    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    static func january() throws -> URL {
        guard
            let url = Bundle.module.url(
                forResource: "flights-2013-01", withExtension: "csv.zst", subdirectory: "Resources")
        else { throw Problem(description: "the flights of January are missing from the build") }
        return url
    }

    static func read(_ url: URL) throws -> [Entry] {
        let stored: Data
        do {
            stored = try Data(contentsOf: url)
        } catch {
            throw Problem(description: "\(url.path) cannot be read: \(error.localizedDescription)")
        }
        let isCompressed = stored.starts(with: [0x28, 0xb5, 0x2f, 0xfd])
        guard let bytes = isCompressed ? Zstd.unpack([UInt8](stored)) : [UInt8](stored) else {
            throw Problem(description: "\(url.path) is damaged: zstd cannot unpack it")
        }
        var parser = try CSVParser(bytes, path: url.path)
        var entries: [Entry] = []
        while try parser.next() { entries.append(try entry(&parser)) }
        guard !entries.isEmpty else { throw Problem(description: "\(url.path) has no flights") }
        return entries
    }

    private static func entry(_ line: inout CSVParser) throws -> Entry {
        let (year, month, day) = (
            try line.integer("year"), try line.integer("month"), try line.integer("day")
        )
        let flight = Flight(
            key: Flight.Key(
                day: "\(year)-\(padded(month))-\(padded(day))", carrier: try line.text("carrier"),
                number: try line.integer("flight"), origin: try line.text("origin")),
            destination: try line.text("dest"), status: .arrived,
            scheduledDeparture: try line.integer("sched_dep_time"),
            departure: try line.optionalInteger("dep_time"),
            departureDelay: try line.optionalInteger("dep_delay"),
            scheduledArrival: try line.integer("sched_arr_time"),
            arrival: try line.optionalInteger("arr_time"),
            arrivalDelay: try line.optionalInteger("arr_delay"),
            tailNumber: try line.optionalText("tailnum"),
            airTime: try line.optionalInteger("air_time"),
            distance: try line.integer("distance"), hour: try line.integer("hour"),
            minute: try line.integer("minute"), timeHour: try hour(line.text("time_hour")))
        return Entry(flight: flight, midnight: days(year, month, day) * 1440)
    }

    private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `2013-01-01T10:00:00Z`
    private static func hour(_ text: String) throws -> Date {
        let parts = text.utf8.split { $0 < 0x30 || $0 > 0x39 }.compactMap { Int(Substring($0)) }
        guard parts.count == 6 else { throw Problem(description: "\(text) is no time") }
        let seconds = days(parts[0], parts[1], parts[2]) * 86_400 + parts[3] * 3600
        return Date(timeIntervalSince1970: Double(seconds + parts[4] * 60 + parts[5]))
    }

    /// Days from 1970-01-01. A year that begins in March has its leap day at the end.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}
