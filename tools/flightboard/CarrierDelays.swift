import GRDB
import WriteBehind

/// The mean departure delay of each carrier, from two sources that must agree.
struct CarrierDelays: Equatable {
    /// In minutes.
    var means: [String: Double] = [:]

    static let sql = "SELECT carrier, avg(dep_delay) FROM flight GROUP BY carrier"

    /// The database's answer.
    init(_ database: any DatabaseReader) async throws {
        means = try await database.read { db in
            let rows = try Row.fetchAll(db, sql: Self.sql)
            return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
        }
    }

    /// The CSV's answer.
    init(_ flights: [Flight]) {
        var sums: [String: (minutes: Int, count: Int)] = [:]
        for flight in flights {
            guard let delay = flight.departureDelay else { continue }
            sums[flight.key.carrier, default: (0, 0)].minutes += delay
            sums[flight.key.carrier, default: (0, 0)].count += 1
        }
        self.init(sums)
    }

    init(_ sums: [String: (minutes: Int, count: Int)]) {
        means = sums.mapValues { Double($0.minutes) / Double($0.count) }
    }

    /// Four carriers a line, the most punctual first.
    var lines: [String] {
        let cells = means.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map {
            Text.left("\($0.key)", 4) + Text.right(Text.threeDigits($0.value) + " min", 10)
        }
        return stride(from: 0, to: cells.count, by: 4).map { start in
            "    " + cells[start..<min(start + 4, cells.count)].joined(separator: "     ")
        }
    }
}
