package import TestSupport
package import WriteBehindCore

/// A row of the simulated store.
package struct Row: Hashable, Sendable {
    package var table: UInt32
    package var id: Int64
}

/// One thing that happens to a store. A run is a list of steps, and nothing else decides what the run does: a step
/// can be removed, and the others still mean the same.
package enum Step: Equatable, Sendable {
    // Callers.
    /// The values of all columns outside the key that the table may ever have.
    case put(Row, [StoredValue], timeToLive: UInt64?)
    /// A put by a program from before any column was added: it sets only the columns of its time.
    case olderPut(Row, [StoredValue])
    case delete(Row)
    /// A new row, with an id that the store gives.
    case insert([StoredValue])
    /// Reads a row, and writes a column of it if the row was not changed meanwhile.
    case patch(Row, column: Int, StoredValue, meanwhile: [Step])
    case increment(Row, by: Int64, meanwhile: [Step])
    /// Adds to a column of a row without reading it, if the column takes amounts.
    case add(Row, column: Int, by: Int64)
    /// Puts and deletes that are one commit; a row without values is deleted.
    case transaction([Change])
    case clear(UInt32)
    /// The next version of the table's declaration.
    case changeTable(UInt32)
    /// The next of the tables that are not there from the start.
    case addTable
    /// Many puts one after the other, to `rows` rows from this one on. The first value rises with each.
    case burst(Row, rows: Int64, count: Int, [StoredValue])
    case mark
    case read(Row, meanwhile: [Step])
    case evict(Row)

    // The store's own work.
    case flush(urgent: Bool)
    /// A caller waits until its writes survive power loss, which may be in staging.
    case sync
    case materialize(urgent: Bool)
    case snapshot(urgent: Bool, pieces: Int)
    case expire
    /// A reader follows the log, some blocks further.
    case follow(blocks: Int)
    /// The consumer of a change stream takes some changes, and acknowledges the last commit of them or not.
    case consume(changes: Int, acknowledges: Bool)
    /// Reads a past state from the newest snapshot and the log behind it, as of a commit that is counted from the last one.
    case lookBack(commits: Int)

    // The clock and the disk.
    case wait(milliseconds: UInt64)
    /// An administrator sets the wall clock, in seconds after the start.
    case setClock(Int64)
    /// The kernel writes back mapped pages by itself.
    case writeBack
    /// An operation of the disk fails, counted from now.
    case failDisk(at: Int, Fault)
    case fillDisk(spare: Int)
    case freeDisk

    // The database and its operator.
    case failTransactions(SinkError.Kind, Int)
    case failRead
    case failSecondary(SinkError.Kind, Int)
    /// The file of the secondary database is deleted while it is open.
    case deleteSecondary
    case refuse(Row)
    case admitAll
    case retry
    case skip(Int)
    case correct(Int, [StoredValue])
    case backUp
    /// The backup is put in the database's place under the store.
    case putBack
    case deleteDatabase

    // Other processes.
    case openASecondTime
    /// Files are moved away from the store while it is open. Then the store ends, and they are put back.
    case displace(Displacement, meanwhile: [Step], End)

    /// The store ends, and is opened again.
    case end(End)

    package struct Change: Equatable, Sendable {
        var row: Row
        var values: [StoredValue]?
    }
}

/// How one life of a store ends and how the next begins.
package struct End: Equatable, Sendable {
    package enum Kind: String, Equatable, Sendable {
        case kill = "the process is killed"
        case powerLoss = "power is lost"
        case close = "closed"
        case restore = "closed, and the database's backup restored"
        case loseDatabase = "closed, and the database deleted"
    }

    package var kind: Kind
    /// The end comes inside this operation of the disk, counted from now; 0 is at once.
    var operation = 0
    /// Chooses what power loss leaves, and the next life's salts.
    var salt: UInt64
    /// Whether the store is being closed when the crash comes. The crash is then during closing or right after it.
    var isClosing = false
    /// Recovery is interrupted by crashes inside these disk operations, one after the other.
    var inRecovery: [Int] = []
    /// How many bytes the disk has left at the first attempt to open the store.
    var room: Int?
    /// Whether every row is read afterwards, which makes the rows resident.
    var readsAll = true
    var batchRecords = 10
    /// After how many bytes of log the store makes a snapshot by itself.
    var snapshotAfter: Int?
    var stagingSlots = 2
    /// How many pages of 4 KiB one slot of staging has.
    var slotPages = 1
    /// Whether segments may grow large: then most are small enough to be merged.
    var hasLargeSegments = false
    /// Whether the limits are so small that a few writes that the database has not taken reach them. Only if nothing is in
    /// quarantine.
    var isTight = false
    /// The number of shards for the rows in memory: 1, 2 or 4.
    var shardCount = 1

    package var isCrash: Bool { kind == .kill || kind == .powerLoss }
}

extension Step {
    /// The steps inside this one.
    package var nested: [Step] {
        get {
            switch self {
            case .patch(_, _, _, let steps), .increment(_, _, let steps), .read(_, let steps),
                .displace(_, let steps, _):
                steps
            default: []
            }
        }
        set {
            switch self {
            case .patch(let row, let column, let value, _):
                self = .patch(row, column: column, value, meanwhile: newValue)
            case .increment(let row, let amount, _):
                self = .increment(row, by: amount, meanwhile: newValue)
            case .read(let row, _): self = .read(row, meanwhile: newValue)
            case .displace(let what, _, let end):
                self = .displace(what, meanwhile: newValue, end)
            default: break
            }
        }
    }
}

// MARK: - in words

extension Row: CustomStringConvertible {
    package var description: String { "\(Tables.names[Int(table) - 1])[\(id)]" }
}

extension Step.Change: CustomStringConvertible {
    package var description: String {
        values.map { "put \(row) \($0)" } ?? "delete \(row)"
    }
}

extension Step: CustomStringConvertible {
    package var description: String {
        switch self {
        case .put(let row, let values, let timeToLive):
            "put \(row) \(values)" + (timeToLive.map { ", cached for \($0) ms" } ?? "")
        case .olderPut(let row, let values): "an older program puts \(row) \(values)"
        case .delete(let row): "delete \(row)"
        case .insert(let values): "a new row \(values)"
        case .patch(let row, let column, let value, let steps):
            "set column \(column) of \(row) to \(value)" + Self.meanwhile(steps)
        case .increment(let row, let amount, let steps):
            "increment \(row) by \(amount)" + Self.meanwhile(steps)
        case .add(let row, let column, let amount):
            "add \(amount) to column \(column) of \(row)"
        case .transaction(let changes):
            "as one: " + changes.map(\.description).joined(separator: ", ")
        case .clear(let table): "clear \(Tables.names[Int(table) - 1])"
        case .changeTable(let table):
            "declare the next version of \(Tables.names[Int(table) - 1])"
        case .addTable: "add a table"
        case .burst(let row, let rows, let count, let values):
            "put \(row) and \(rows - 1) behind it, \(count) puts of \(values)"
        case .mark: "mark this moment"
        case .read(let row, let steps): "read \(row)" + Self.meanwhile(steps)
        case .evict(let row): "evict \(row)"
        case .flush(let urgent): "flush" + (urgent ? ", a caller waits" : "")
        case .sync: "flush, a caller waits for durable"
        case .materialize(let urgent): "materialize" + (urgent ? ", a caller waits" : "")
        case .snapshot(let urgent, let pieces):
            "\(pieces) pieces of snapshots and tidying" + (urgent ? ", a caller waits" : "")
        case .expire: "delete what is due"
        case .follow(let blocks): "follow the log for \(blocks) blocks"
        case .consume(let count, let acknowledges):
            "consume \(count) changes" + (acknowledges ? " and acknowledge them" : "")
        case .lookBack(let commits): "look back \(commits) commits"
        case .wait(let milliseconds): "\(milliseconds) ms pass"
        case .setClock(let seconds): "the wall clock is set to \(seconds) s after the start"
        case .writeBack: "the kernel writes mapped pages back"
        case .failDisk(let n, let fault): "disk operation \(n) from now fails: \(fault)"
        case .fillDisk(let spare): "the disk has \(spare) bytes left"
        case .freeDisk: "the disk has space again"
        case .failTransactions(let kind, let count):
            "the next \(count) database transactions fail: \(kind.rawValue)"
        case .failRead: "the next read of the database fails"
        case .failSecondary(let kind, let count):
            "the next \(count) transactions of the secondary database fail: \(kind.rawValue)"
        case .deleteSecondary: "the secondary database is deleted under the store"
        case .refuse(let row): "the database refuses \(row) from now on"
        case .admitAll: "the database refuses nothing any more"
        case .retry: "retry quarantine"
        case .skip(let index): "skip quarantined commit \(index)"
        case .correct(let index, let values): "correct quarantined commit \(index) to \(values)"
        case .backUp: "back the database up"
        case .putBack: "the database is replaced by its backup under the store"
        case .deleteDatabase: "the database is deleted under the store"
        case .openASecondTime: "another process opens the store"
        case .displace(let what, let steps, let end):
            what.rawValue + Self.meanwhile(steps) + "; then \(end)"
        case .end(let end): end.description
        }
    }

    private static func meanwhile(_ steps: [Step]) -> String {
        steps.isEmpty
            ? "" : "; meanwhile: " + steps.map(\.description).joined(separator: "; ")
    }
}

extension End: CustomStringConvertible {
    package var description: String {
        kind.rawValue + (isClosing ? " while the store is being closed" : "")
            + (operation > 0 ? " inside disk operation \(operation) from now" : "")
            + inRecovery.map { ", again inside operation \($0) of recovery" }.joined()
            + (room.map { ", then the disk has \($0) bytes left" } ?? "")
            + " (salt \(salt), batches of \(batchRecords)"
            + (snapshotAfter.map { ", snapshots after \($0) bytes" } ?? "")
            + (stagingSlots > 2 ? ", \(stagingSlots) slots" : "")
            + (slotPages > 1 ? ", \(slotPages) pages a slot" : "") + (isTight ? ", tight" : "")
            + (hasLargeSegments ? ", large segments" : "")
            + (shardCount > 1 ? ", \(shardCount) shards" : "")
            + (readsAll ? ", all rows are read)" : ")")
    }
}
