import EventLog
import Foundation
import TestSupport
import WriteBehind

/// The process that kills the child, and checks what must be there.
struct Parent {
    /// The directory of the stores: a new store follows after some rounds, so that none grows without limit.
    let root: String
    let seed: UInt64
    private(set) var round = 0
    private(set) var kills = 0
    /// The number of kills by place: a failpoint, or a random moment.
    private(set) var places: [String: Int] = [:]
    private(set) var ledger: Ledger
    private var random: SeededRandom

    private static let roundsOfStore = 10
    var directory: String { "\(root)/\(round / Self.roundsOfStore)" }

    init(root: String, seed: UInt64) {
        self.root = root
        self.seed = seed
        random = SeededRandom(seed: seed)
        ledger = Ledger(seed: seed)
    }

    mutating func playRound() async throws {
        if round % Self.roundsOfStore == 0 { ledger.beginStore() }
        let report = try killWriter()
        // Recovery is killed, too, up to three times.
        if Bool.random(using: &random) {
            for _ in 0..<Int.random(in: 1...3, using: &random) { try killRecovery() }
        }
        // Every other time, the state right after the kill is checked before it is recovered.
        if Bool.random(using: &random) { try StoreCheck.run(directory, isClosed: false) }
        try await Self.check(
            directory, report, round, &ledger, atLeast: report.last, following: report)
        round += 1
        // The last one is kept for inspection.
        if round % Self.roundsOfStore == 1, round > 1 {
            try FileManager.default.removeItem(atPath: "\(root)/\(round / Self.roundsOfStore - 1)")
        }
    }

    /// Opens the store, compares it with the ledger, closes it and verifies every file.
    ///
    /// - Parameters:
    ///   - sequence: the sequence up to which the log must hold everything.
    ///   - following: what the consumer of changes had reported when the store ended.
    static func check(
        _ directory: String, _ report: Report, _ round: Int, _ ledger: inout Ledger,
        atLeast sequence: UInt64, following: Report
    ) async throws {
        let tables = try Tables(at: directory)
        let health = tables.store.health
        guard health.verdict != .failed else {
            throw Loss(health.causes.joined(separator: "; "))
        }
        let end = health.lag.staged
        guard end >= sequence else {
            throw Loss("the log ends at sequence \(end); \(sequence) was acknowledged")
        }
        try ledger.settle(report, round: round, found: try await tables.read(), end: end)
        try await Following.check(tables, following)
        let build = try await Sums.check(tables.store)
        guard ledger.build == nil || ledger.build == build else {
            throw Loss("the projection was built again, and had missed nothing")
        }
        ledger.build = build
        let closed = try await tables.store.close()
        guard closed.materialized == closed.durable else {
            throw Loss("the database stays at \(closed.materialized) of \(closed.durable)")
        }
        try StoreCheck.run(directory, isClosed: true)
    }

    private mutating func killWriter() throws -> Report {
        // A third of the kills come from outside, at any moment.
        guard Int.random(in: 0..<3, using: &random) > 0 else { return try killAtRandom() }
        let failpoint = Failpoint.random(in: Failpoint.places, using: &random)
        let child = try start(["--failpoint", "\(failpoint)"])
        // If it does not end by itself, it is killed from outside.
        child.waitUntilDead(milliseconds: 400)
        let report = try child.kill()
        count(report.reachedFailpoint ? failpoint.place.description : "random moment")
        return report
    }

    private mutating func killAtRandom() throws -> Report {
        let child = try start([])
        // Sometimes it is killed before it has written anything, while it opens the store.
        let isEarly = Int.random(in: 0..<5, using: &random) == 0
        while !isEarly, child.isRunning, !child.hasSpoken { usleep(500) }
        usleep(.random(in: 0...(isEarly ? 30_000 : 120_000), using: &random))
        count("random moment")
        return try child.kill()
    }

    private mutating func killRecovery() throws {
        let places = Failpoint.places.filter(\.isOfRecovery).map { place in
            Failpoint.Place(
                operation: place.operation, area: place.area, most: min(place.most, 30))
        }
        let failpoint = Failpoint.random(in: places, using: &random)
        let child = try start(["--reopening", "--failpoint", "\(failpoint)"])
        child.waitUntilDead(milliseconds: 10_000)
        let report = try child.kill()
        let place = report.reachedFailpoint ? failpoint.place.description : "end"
        count("recovery: \(place)")
    }

    private func start(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess([directory, "\(seed)", "\(round)"] + arguments)
    }

    private mutating func count(_ place: String) {
        kills += 1
        places[place, default: 0] += 1
    }
}
