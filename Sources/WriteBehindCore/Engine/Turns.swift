import EventLog
import Synchronization

// A transaction reads rows and writes changes that depend on them. It tries again if another write was faster. If many
// transactions use the same rows, one of them could lose each time. So after a few tries it takes a turn at its rows.
// Turns are served in the order in which they were asked for. As long as a transaction has or awaits a turn, all others
// on these rows take one before they try. Only fairness depends on turns: if no turn is served for long enough, a
// transaction goes on without one, so that transactions that wait for each other in ways unknown here do not hang.

/// The turns at all rows, by hashes of rows.
package final class Turns: Sendable {
    fileprivate struct Line {
        /// The ticket that is being served; one more than `last` if no ticket is out.
        var current: UInt64 = 1
        var last: UInt64 = 0
        /// Tickets of callers that do not wait any more.
        var givenUp: Set<UInt64> = []
    }

    package struct Ticket: Sendable {
        var line: Int
        var number: UInt64
    }

    private static let lineCount = 64
    /// How long the first in a line waits while no turn is served; the second waits twice as long, and so on. If
    /// all went on at once, they would disturb each other as if there were no turns.
    package static let patience: Duration = .milliseconds(100)
    /// The longest wait, in multiples of ``patience``.
    private static let mostPatience: UInt64 = 10

    private let lines = Lock(Array(repeating: Line(), count: lineCount))
    private let served = (0..<lineCount).map { _ in WaitList(reached: 1) }
    /// How many tickets are out: nearly always none.
    private let count = Atomic<Int>(0)
    private let patience: Duration

    package init(patience: Duration = Turns.patience) {
        self.patience = patience
    }

    static func lines(of hashes: [UInt64]) -> Set<Int> {
        Set(hashes.map { Int($0 % UInt64(lineCount)) })
    }

    /// Whether a transaction has or awaits a turn.
    package var areInUse: Bool { count.load(ordering: .relaxed) > 0 }

    /// Whether a transaction has or awaits a turn at one of these lines.
    package func areTaken(_ wanted: Set<Int>) -> Bool {
        lines.withLock { lines in
            wanted.contains { lines[$0].last >= lines[$0].current }
        }
    }

    /// Suspends until it is the caller's turn at all of these lines, or until no turn was served for a while.
    ///
    /// Tickets are taken in ascending order, so that two transactions on the same rows do not wait for each other in a
    /// circle.
    package func take(_ wanted: Set<Int>) async throws(StoreError) -> [Ticket] {
        var tickets: [Ticket] = []
        do throws(StoreError) {
            for line in wanted.sorted() {
                let ticket = draw(line)
                tickets.append(ticket)
                try await wait(for: ticket)
            }
        } catch {
            giveBack(tickets)
            throw error
        }
        return tickets
    }

    private func draw(_ line: Int) -> Ticket {
        count.add(1, ordering: .relaxed)
        return lines.withLock { lines in
            lines[line].last += 1
            return Ticket(line: line, number: lines[line].last)
        }
    }

    /// Suspends until all of these tickets are served, as ``take(_:)`` does.
    func wait(for tickets: [Ticket]) async throws(StoreError) {
        for ticket in tickets { try await wait(for: ticket) }
    }

    private func wait(for ticket: Ticket) async throws(StoreError) {
        let list = served[ticket.line]
        while case let reached = list.reached, reached < ticket.number {
            let places = Int(min(ticket.number - reached, Self.mostPatience))
            _ = try await within(patience * places) { () async throws(StoreError) in
                try await list.wait(for: ticket.number)
            }
            if list.reached == reached { return }
        }
    }

    package func giveBack(_ tickets: [Ticket]) {
        count.subtract(tickets.count, ordering: .relaxed)
        for ticket in tickets {
            let current = lines.withLock { lines in
                lines[ticket.line].giveBack(ticket.number)
                return lines[ticket.line].current
            }
            served[ticket.line].advance(to: current)
        }
    }
}

extension Turns.Line {
    fileprivate mutating func giveBack(_ number: UInt64) {
        givenUp.insert(number)
        while givenUp.remove(current) != nil { current += 1 }
    }
}

/// The tries of a call that reads rows, and of the changes that depend on them.
struct Turn {
    /// After this many failed tries, a transaction takes a turn.
    private static let triesWithout = 3
    /// With turns, no other transaction makes a try fail. A transaction that still fails so often changes the rows that it
    /// reads itself, or they are changed all the time by writes that read nothing, which take no turns.
    static let triesAtMost = 1_000

    private let engine: Engine
    private let triesAtMost: Int
    private var tries = 0
    private var tickets: [Turns.Ticket] = []

    init(_ engine: Engine, triesAtMost: Int = Self.triesAtMost) {
        (self.engine, self.triesAtMost) = (engine, triesAtMost)
    }

    /// Appends a commit; nil if the rows that it relies on have changed, if a table has got columns since `generation`, or
    /// if other transactions have the turn.
    func commit(
        _ commit: CommitBuilder, reads: [ReadVersion], generation: UInt32? = nil
    ) throws(StoreError) -> Receipt? {
        // A holder of a ticket has waited, and may try. A try without a ticket could make the holder's try fail.
        if tickets.isEmpty, engine.turns.areInUse, engine.turns.areTaken(lines(of: reads)) {
            return nil
        }
        return try engine.commit(commit, reads: reads, generation: generation)
    }

    /// To be called after a try that failed, and before the next one.
    mutating func next(_ reads: [ReadVersion]) async throws(StoreError) {
        try await next(lines(of: reads))
    }

    /// - Parameter lines: those of the rows that were read.
    mutating func next(_ lines: Set<Int>) async throws(StoreError) {
        tries += 1
        guard tries < triesAtMost else { throw .contended(tries: tries) }
        if tickets.contains(where: { lines.contains($0.line) }) {
            // This transaction went on before its turn came, or others did.
            return try await engine.turns.wait(for: tickets)
        }
        guard tries >= Self.triesWithout || engine.turns.areTaken(lines) else { return }
        end()
        tickets = try await engine.turns.take(lines)
    }

    /// Gives the tickets back, so that the next transaction has its turn.
    mutating func end() {
        engine.turns.giveBack(tickets)
        tickets = []
    }

    private func lines(of reads: [ReadVersion]) -> Set<Int> {
        Turns.lines(of: reads.map { engine.view.hash(table: $0.table, key: $0.key.span) })
    }
}
