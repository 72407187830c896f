import EventLog
import TestSupport

/// Stores to be damaged, each in another phase of its life.
enum StoreShape: CaseIterable, Sendable {
    /// Opened and killed before anything was appended.
    case empty
    case oneBlock
    /// Closed cleanly: all segments sealed, no staging file.
    case severalSegments
    case sealedAndActive
    /// Killed with commits that only staging holds.
    case stagedCommits
    /// Killed, recovered, written to, and killed again.
    case recovered

    /// A store in this phase, with what was appended to it.
    func made() throws -> LogHarness {
        let harness = LogHarness(seed: 5, options: .tiny)
        try harness.open()
        switch self {
        case .empty:
            harness.crash(.process)
        case .oneBlock:
            try harness.append(commits: 3)
            harness.makeDurable()
            harness.crash(.process)
        case .severalSegments:
            try harness.append(commits: 30, byteCount: 60)
            try harness.close()
        case .sealedAndActive:
            try harness.append(commits: 18, byteCount: 60)
            harness.makeDurable()
            harness.crash(.process)
        case .stagedCommits:
            try harness.append(commits: 6)
            harness.makeDurable()
            try harness.append(commits: 2, count: 2, byteCount: 20)
            _ = harness.log?.flusher?.step()
            try harness.append(commits: 2)
            harness.crash(.process)
        case .recovered:
            try harness.append(commits: 5)
            harness.crash(.process)
            try harness.open()
            try harness.append(commits: 4)
            harness.makeDurable()
            try harness.append(commits: 2)
            harness.crash(.process)
        }
        return harness
    }
}

/// The fate of a store.
enum Verdict: Equatable {
    /// Everything through `end` is there and nothing else.
    case prefix(end: UInt64)
    /// Damage that was named.
    case corrupt
    /// A newer version seems to have written it.
    case unsupported
}

extension LogHarness {
    /// Opens a state of the disk and reads it all. Throws where something is there that was not appended so, or
    /// an error is no named damage.
    func verdict(of disk: SimulatedDisk) throws -> Verdict {
        let log: Log
        do {
            log = try Self.opened(disk, options: options)
        } catch LogError.unsupported {
            return .unsupported
        }
        var found: [Appended] = []
        do {
            found = try Self.readAll(log)
        } catch LogError.corrupt {
            return .corrupt
        } catch LogError.deleted where log.recovery.corruption != nil {
            return .corrupt
        }
        guard found == Array(appended.prefix(found.count)) else { throw WrongRows() }
        if log.recovery.corruption != nil { return .corrupt }
        let end = found.last.map { $0.firstSequence + UInt64($0.count) - 1 } ?? 0
        guard end == log.lastSequence else { throw WrongRows() }
        return .prefix(end: end)
    }
}

struct WrongRows: Error {}
