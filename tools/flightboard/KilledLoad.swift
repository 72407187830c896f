import Foundation
import GRDB
import Logging
import WriteBehind

/// Runs the load in a child process, kills it with `kill -9` in the middle, and checks what is left.
struct KilledLoad {
    let directory: String
    /// The arguments that make the child play the same.
    let load: [String]
    let timetable: Timetable
    let screen: Screen

    /// The results of one child.
    struct Round {
        /// Events acknowledged by this child and those before it.
        var acknowledged: Int
        /// The sequence of the last write that was acknowledged.
        var sequence: UInt64 = 0
        var wasKilled = false
    }

    /// The content of the store when it was opened again.
    struct Survival {
        var reopening: Double
        /// Events that the store shows: those acknowledged, and one more if it was written but not reported.
        var shown: Int
        /// Rows that differ from the expected rows after that many events.
        var wrong: Int
        var hasLastSequence: Bool
    }

    /// - Parameter limit: the child is killed when this many events are acknowledged; nil lets it finish.
    func round(from first: Int, until limit: Int?) throws -> Round {
        let child = Process()
        // The running program, found from any directory.
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        child.executableURL = URL(fileURLWithPath: link)
        child.arguments = load + ["--directory", directory, "--child-from", "\(first)"]
        let pipe = Pipe()
        child.standardOutput = pipe
        try child.run()
        var round = Round(acknowledged: first)
        var receipts = Receipts()
        while true {
            let bytes = pipe.fileHandleForReading.availableData
            guard !bytes.isEmpty else { break }
            receipts.read(bytes)
            round.acknowledged = first + receipts.count
            if let limit, round.acknowledged >= limit, !round.wasKilled {
                kill(child.processIdentifier, SIGKILL)
                // Its earlier output is still in the pipe, and counts.
                round.wasKilled = true
            }
            screen.progress(
                "child", Double(round.acknowledged) / Double(timetable.events.count),
                round.wasKilled ? "kill -9" : "\(Text.count(round.acknowledged)) acknowledged")
        }
        child.waitUntilExit()
        screen.progress("", nil)
        round.sequence = receipts.last
        round.wasKilled = child.terminationReason == .uncaughtSignal
        return round
    }

    /// Opens the store again and compares every row with what it must be.
    func inspect(_ round: Round) async throws -> Survival {
        let start = ContinuousClock.now
        let store = try await Store(at: directory, configuration: .quiet)
        let reopening = start.duration(to: .now).seconds
        let board = try Board(store)
        let staged = store.health.lag.staged
        let shown = try await countShown(board, atLeast: round.acknowledged)
        let wrong = try await countWrong(board, after: shown)
        try await store.close()
        return Survival(
            reopening: reopening, shown: shown, wrong: wrong,
            hasLastSequence: staged >= round.sequence)
    }

    /// One event more than was acknowledged may be there: the child wrote it and was killed before it reported it.
    private func countShown(_ board: Board, atLeast acknowledged: Int) async throws -> Int {
        guard acknowledged < timetable.events.count else { return acknowledged }
        let event = timetable.events[acknowledged]
        let expected = Expectation(timetable, after: acknowledged + 1).flights[event.flight]
        let row = try await board.flights.get(timetable.key(event))
        return row == expected ? acknowledged + 1 : acknowledged
    }

    private func countWrong(_ board: Board, after count: Int) async throws -> Int {
        let expected = Expectation(timetable, after: count)
        var wrong = 0
        // The rows of the last events, as the store returns them right after opening: they may still be on their way
        // to the database.
        let last = Set(timetable.events.prefix(count).suffix(10_000).map(\.flight))
        for index in last
        where try await board.flights.get(timetable.flights[index].key) != expected.flights[index] {
            wrong += 1
        }
        for (carrier, row) in expected.carriers
        where try await board.carriers.get(carrier) != row { wrong += 1 }
        for (airport, row) in expected.airports
        where try await board.airports.get(airport) != row { wrong += 1 }
        return try await wrong + countWrongInDatabase(board, expected)
    }

    /// Counts the wrong rows in the database: each flight must be there, and no other row.
    private func countWrongInDatabase(_ board: Board, _ expected: Expectation) async throws -> Int {
        try await board.store.waitForAll(.materialized, timeout: .seconds(600))
        let database = try board.store.database
        let (stored, counters) = try await database.read { db in
            let rows = try Row.fetchCursor(db, sql: "SELECT * FROM flight").map(Flight.init(row:))
            return (try rows.byKey(), try Int.fetchOne(db, sql: Self.countCounters) ?? 0)
        }
        let flights = expected.flights.compactMap(\.self)
        let wrong = flights.count { stored[$0.key] != $0 }
        let extra = stored.count - (flights.count - flights.count { stored[$0.key] == nil })
        return wrong + extra
            + abs(counters - expected.carriers.count - expected.airports.count)
    }

    private static let countCounters = """
        SELECT (SELECT count(*) FROM carrier) + (SELECT count(*) FROM airport)
        """
}

extension Cursor where Element == Flight {
    fileprivate func byKey() throws -> [Flight.Key: Flight] {
        var flights: [Flight.Key: Flight] = [:]
        while let flight = try next() { flights[flight.key] = flight }
        return flights
    }
}

/// Sequence numbers from the pipe, eight bytes each. A read may end in the middle of one.
private struct Receipts {
    private(set) var count = 0
    private(set) var last: UInt64 = 0
    private var current: UInt64 = 0
    private var byteCount = 0

    mutating func read(_ bytes: Data) {
        for byte in bytes {
            current |= UInt64(byte) << UInt64(8 * byteCount)
            byteCount += 1
            guard byteCount == 8 else { continue }
            (last, current, byteCount) = (current, 0, 0)
            count += 1
        }
    }
}

extension StoreConfiguration {
    /// A configuration that does not log that the last end was unclean: the demo makes it so on purpose.
    static var quiet: StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.logger.logLevel = .warning
        return configuration
    }
}
