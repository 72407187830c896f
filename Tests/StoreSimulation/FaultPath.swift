import TestSupport
import WriteBehindCore

/// A way through the store. Each of its disk operations is made to fail, one in each run.
package enum FaultPath: String, CaseIterable, Sendable {
    case creating = "open an empty directory"
    case openingClosed = "open after a clean close"
    case openingKilled = "open after a kill"
    case openingTorn = "open after power loss, which cuts the log's end off"
    case rebuildingAtOpen = "open without the database, which only a snapshot still has"
    case writing = "write, wait for durable, read"
    case rolling = "write into one segment after the other"
    case snapshotting = "take a snapshot"
    case deleting = "delete snapshots and log"
    case merging = "merge segments"
    case materializing = "bring the database up to date, commits in quarantine among it"
    case rebuilding = "rebuild the database that was deleted while open"
    case following = "follow the log, look back, let rows expire"
    case closing = "close"

    /// Whether the path begins by opening the store.
    var isOpening: Bool {
        switch self {
        case .creating, .openingClosed, .openingKilled, .openingTorn, .rebuildingAtOpen: true
        default: false
        }
    }

    /// The steps before the path; the salt decides what power loss leaves.
    func preparation(salt: UInt64) -> [Step] {
        switch self {
        case .creating: []
        case .openingClosed, .writing, .rolling, .closing:
            Self.writes(30) + [.sync] + Self.catchUp + [Self.snapshot, Self.close]
        case .openingKilled:
            Self.writes(30) + [.flush(urgent: true), .materialize(urgent: true)]
                + Self.writes(20, from: 30) + [.end(End(kind: .kill, salt: salt))]
        case .openingTorn:
            // Indices that are being built make everything be synced: they are built first.
            Self.writes(30) + Array(repeating: .flush(urgent: true), count: 40)
                + Self.writes(20, from: 30)
                + [.flush(urgent: false), .writeBack, .end(End(kind: .powerLoss, salt: salt))]
        case .rebuildingAtOpen: Self.lives(4) + [.end(End(kind: .loseDatabase, salt: salt))]
        case .rebuilding, .following: Self.lives(4)
        case .snapshotting: Self.lives(2)
        case .deleting: Self.lives(3)
        case .merging: (0..<10).flatMap { Self.writes(4, from: 4 * $0) + [Self.close] }
        case .materializing: Self.writes(60) + [.flush(urgent: true), Self.close]
        }
    }

    /// Segments are merged when they are small for their size.
    var segmentSize: Int { self == .merging ? 64 << 10 : 4 << 10 }

    /// Whether the files that were created and removed, when nothing failed, are those of this path.
    func isWalked(created: Set<String>, removed: Set<String>) -> Bool {
        func count(_ files: Set<String>, _ part: String) -> Int {
            files.count { $0.contains(part) }
        }
        return switch self {
        case .creating: count(created, "/store.json") == 1
        case .openingTorn: count(created, "/aside/") > 0
        case .rolling: count(created, "/log/") > 2
        case .snapshotting: count(created, "/snapshots/") > 0
        case .deleting: count(removed, "/log/") > 0 && count(removed, "/snapshots/") > 0
        case .merging: count(removed, "/log/") > 6
        case .closing: count(removed, "/staging") == 1
        default: true
        }
    }

    /// The path itself, once the store is open.
    var steps: [Step] {
        switch self {
        case .creating: Self.writes(6) + [.flush(urgent: true)]
        case .openingClosed, .openingKilled, .openingTorn: []
        case .rebuildingAtOpen: [.lookBack(commits: 0)]
        case .writing:
            Self.writes(20, from: 100)
                + [
                    .sync, .changeTable(1), .mark, .flush(urgent: true), .clear(2),
                    Self.transaction,
                ] + Self.catchUp
                + [
                    .evict(Self.row(0)),
                    .read(Self.row(0), meanwhile: []),
                ] + Self.writes(40, from: 120) + [.flush(urgent: true)]
        case .rolling:
            (0..<6).flatMap { Self.writes(40, from: 200 + 40 * $0) + [.flush(urgent: true)] }
        case .snapshotting: Self.writes(10, from: 600) + [.flush(urgent: true), Self.snapshot]
        case .deleting:
            Self.writes(10, from: 500) + [.flush(urgent: true)] + Self.catchUp
                + [.wait(milliseconds: 61_000), Self.snapshot]
        case .merging: [.wait(milliseconds: 61_000), .snapshot(urgent: false, pieces: 20)]
        case .materializing:
            [.refuse(Self.row(0))] + Self.writes(12, from: 300)
                + (0..<30).flatMap { _ in
                    [.flush(urgent: true), .materialize(urgent: true), .wait(milliseconds: 50)]
                } + [.admitAll, .retry]
        case .rebuilding:
            [.deleteDatabase] + Self.writes(10, from: 700) + [.flush(urgent: true)]
                + (0..<30).flatMap { _ in [.materialize(urgent: true), .wait(milliseconds: 50)] }
        case .following:
            [
                .follow(blocks: 100), .lookBack(commits: 0), .lookBack(commits: 5),
                .wait(milliseconds: 61_000), .expire, .flush(urgent: true), .follow(blocks: 100),
            ]
        case .closing: Self.writes(20, from: 100)
        }
    }

    // MARK: pieces

    private static let close = Step.end(End(kind: .close, salt: 6))
    private static let snapshot = Step.snapshot(urgent: true, pieces: 60)
    private static let catchUp = [Step](repeating: .materialize(urgent: true), count: 10)
    private static let transaction = Step.transaction(
        (0..<4).map { Step.Change(row: row($0), values: values(999 + $0)) })

    private static func row(_ number: Int) -> Row {
        Row(table: UInt32(number % 3) + 1, id: Int64(number / 3 % 6))
    }

    /// Changes of all kinds, the same for the same numbers.
    private static func writes(_ count: Int, from first: Int = 0) -> [Step] {
        (first..<first + count).map { number in
            switch number % 9 {
            case 7: .delete(row(number))
            case 8: .increment(row(number - 3), by: 3, meanwhile: [])
            default: .put(row(number), values(number), timeToLive: nil)
            }
        }
    }

    /// Values for all columns that the table may ever have.
    private static func values(_ number: Int) -> [StoredValue] {
        var random = SeededRandom(seed: UInt64(number))
        let integer = StoredValue.integer(Int64(number))
        switch number % 3 {
        case 0:
            // Text that does not compress well.
            let name = (0..<6).map { _ in String(random.next(), radix: 36) }.joined()
            return [integer, .text(name), integer, .text("note \(number)"), integer]
        case 1: return [integer, number % 2 == 0 ? integer : .null, integer, integer]
        default:
            let until = Int64(Tables.start / 1000) + 30
            return [integer, .integer(until), .text("holder \(number)")]
        }
    }

    /// Several lives, each with a snapshot, so that old snapshots and old log may go.
    private static func lives(_ count: Int) -> [Step] {
        (0..<count).flatMap { life in
            writes(25, from: 25 * life)
                + [.flush(urgent: true)] + catchUp
                + [.wait(milliseconds: 300), snapshot, .wait(milliseconds: 61_000), close]
        }
    }
}
