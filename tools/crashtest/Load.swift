import EventLog
import Logging
import TestSupport
import WriteBehind
import WriteBehindSQLite

/// A row of the tested table. Its thread is `id % Load.threadCount`, so that threads do not share rows.
struct Item: TableRow, Equatable {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "item",
        [.key("id", .integer), .column("value", .integer), .column("note", .text, nullable: true)])
    var id: Int
    var value: Int
    var note: String?

    init(id: Int, value: Int, note: String?) {
        (self.id, self.value, self.note) = (id, value, note)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(value)
        encoder.encode(note)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        value = try decoder.decode()
        note = try decoder.decode()
    }
}

/// A row of the table that is cleared now and then. Only thread 0 writes it.
struct Visit: TableRow, Equatable {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "visit", [.key("id", .integer), .column("place", .text)])
    var id: Int
    var place: String

    init(id: Int, place: String) { (self.id, self.place) = (id, place) }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(place)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        place = try decoder.decode()
    }
}

/// The writes of a thread. They follow from its seed: the child makes them, and the parent can compute them.
struct Load {
    static let threadCount = 4
    static let rowsOfThread = 40
    static let visitCount = 30

    enum Change {
        /// `isShortLived`: whether its cached copy expires at once.
        case put(Item, isShortLived: Bool)
        case update(Int, note: String)
        case increment(Int, by: Int)
        /// Adds to the value without reading the row.
        case add(Int, by: Int)
        case delete(Int)
        /// Two rows, a deleted row, and a row of another table, in one commit.
        case transaction([Item], deleting: Int, KeyValue)
        /// Moves an amount from one row to another, if both exist: a transaction that reads.
        case move(Int, Int, by: Int)
        case visit(Visit)
        case clearVisits
        /// Clears the table and puts one row, in one commit.
        case restartVisits(Visit)
    }

    private let thread: Int
    private var random: SeededRandom
    private var count = 0

    /// Whether the child waits until the write is durable.
    var waitsForDurable: Bool { count.isMultiple(of: 16) }

    init(seed: UInt64, round: Int, thread: Int) {
        self.thread = thread
        random = SeededRandom(
            seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(round * Self.threadCount + thread))
    }

    private mutating func someID() -> Int {
        Int.random(in: 0..<Self.rowsOfThread, using: &random) * Self.threadCount + thread
    }

    private mutating func someNote() -> String {
        // Nothing that compresses well, because segments must fill up.
        (0..<Int.random(in: 0...25, using: &random)).map { _ in String(random.next(), radix: 36) }
            .joined()
    }

    private mutating func someItem() -> Item {
        let value = Int.random(in: 0..<1_000_000, using: &random)
        return Item(
            id: someID(), value: value, note: Bool.random(using: &random) ? someNote() : nil)
    }

    mutating func next() -> Change {
        count += 1
        return switch Int.random(in: 0..<12, using: &random) {
        case 0..<4: .put(someItem(), isShortLived: Bool.random(using: &random))
        case 4: .update(someID(), note: someNote())
        case 5: .increment(someID(), by: .random(in: -9...9, using: &random))
        case 6: .add(someID(), by: .random(in: -9...9, using: &random))
        case 7: .delete(someID())
        case 8: .move(someID(), someID(), by: .random(in: 1...9, using: &random))
        case 9 where thread == 0: someVisiting()
        default:
            .transaction(
                [someItem(), someItem()], deleting: someID(),
                KeyValue(key: "thread \(thread)", value: [UInt8(random.next() & 0xFF)]))
        }
    }

    private mutating func someVisiting() -> Change {
        let visit = Visit(id: .random(in: 0..<Self.visitCount, using: &random), place: someNote())
        return switch Int.random(in: 0..<20, using: &random) {
        case 0: .clearVisits
        case 1: .restartVisits(visit)
        default: .visit(visit)
        }
    }
}

/// The rows that the store must hold.
struct Model: Equatable {
    var items: [Int: Item] = [:]
    var labels: [String: [UInt8]] = [:]
    var visits: [Int: Visit] = [:]

    mutating func apply(_ change: Load.Change) {
        switch change {
        case .put(let item, _): items[item.id] = item
        case .update(let id, let note): items[id]?.note = note
        case .increment(let id, let amount), .add(let id, let amount): items[id]?.value += amount
        case .delete(let id): items[id] = nil
        case .transaction(let new, let deleted, let label):
            for item in new { items[item.id] = item }
            items[deleted] = nil
            labels[label.key] = label.value
        case .move(let from, let to, let amount):
            guard from != to, items[from] != nil, items[to] != nil else { return }
            items[from]?.value -= amount
            items[to]?.value += amount
        case .visit(let visit): visits[visit.id] = visit
        case .clearVisits: visits = [:]
        case .restartVisits(let visit): visits = [visit.id: visit]
        }
    }

    /// The part that one thread writes.
    func part(of thread: Int) -> Model {
        Model(
            items: items.filter { $0.key % Load.threadCount == thread },
            labels: labels.filter { $0.key == "thread \(thread)" },
            visits: thread == 0 ? visits : [:])
    }

    func difference(from expected: Model) -> String {
        func rows<Key: Comparable, Row: Equatable>(
            _ name: String, _ found: [Key: Row], _ expected: [Key: Row]
        ) -> [String] {
            Set(found.keys).union(expected.keys).sorted().filter { found[$0] != expected[$0] }.map {
                func text(_ row: Row?) -> String { row.map { "\($0)" } ?? "absent" }
                return "\(name) \($0) is \(text(found[$0])), not \(text(expected[$0]))"
            }
        }
        return
            (rows("item", items, expected.items) + rows("label", labels, expected.labels)
            + rows("visit", visits, expected.visits)).joined(separator: "; ")
    }
}

/// The store with its tables open.
struct Tables {
    let store: Store
    let items: StoredTable<Item>
    let labels: StoredTable<KeyValue>
    let visits: StoredTable<Visit>

    init(at path: String, environment: StoreEnvironment = .machine(readers: 2)) throws {
        store = try Store(
            at: path, configuration: Self.configuration, environment: environment)
        items = try store.table(Item.self)
        labels = try store.keyValues()
        visits = try store.table(Visit.self)
        try Sums.declare(self)
    }

    /// Small buffers and short pauses, so that a kill hits every worker in the middle of its work.
    static var configuration: StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.cacheLimit = 8 << 20
        configuration.stagingSlotSize = 64 << 10
        configuration.blockSize = 8 << 10
        configuration.segmentSize = 64 << 10
        configuration.syncInterval = .milliseconds(15)
        configuration.materializeInterval = .milliseconds(10)
        configuration.snapshotAfter = 128 << 10
        configuration.logKept = .zero
        configuration.logBytesKept = 64 << 10
        configuration.logger.logLevel = .critical
        return configuration
    }

    private func ifThere(_ change: () async throws -> Receipt) async throws -> Receipt? {
        do { return try await change() } catch StoreError.noSuchRow { return nil }
    }

    /// Makes a change. Returns the receipt of the acknowledged write; nil if there was nothing to change.
    func apply(_ change: Load.Change) async throws -> Receipt? {
        switch change {
        case .put(let item, let isShortLived):
            return try items.put(item, cachedFor: isShortLived ? .milliseconds(1) : nil)
        case .update(let id, let note):
            return try await ifThere { try await items.update(id) { $0.note = note } }
        case .increment(let id, let amount):
            return try await ifThere { try await items.increment(id, "value", by: amount).receipt }
        case .add(let id, let amount): return try items.add(amount, to: "value", of: id)
        case .delete(let id): return try items.delete(id)
        case .transaction(let new, let deleted, let label):
            return try store.transaction { transaction in
                for item in new { try transaction.put(item, in: items) }
                try transaction.delete(deleted, in: items)
                try transaction.put(label, in: labels)
            }
            .receipt
        case .move(let from, let to, let amount): return try await move(from, to, amount)
        case .visit(let visit): return try visits.put(visit)
        case .clearVisits: return try visits.clear()
        case .restartVisits(let visit):
            return try store.transaction { transaction in
                try transaction.clear(visits)
                try transaction.put(visit, in: visits)
            }
            .receipt
        }
    }

    private func move(_ from: Int, _ to: Int, _ amount: Int) async throws -> Receipt? {
        guard from != to else { return nil }
        return try await store.transaction { transaction in
            guard var source = try await transaction.get(from, in: items),
                var target = try await transaction.get(to, in: items)
            else { return }
            source.value -= amount
            target.value += amount
            try transaction.put(source, in: items)
            try transaction.put(target, in: items)
        }
        .receipt
    }

    /// Everything that the store shows.
    func read() async throws -> Model {
        var model = Model()
        for id in 0..<Load.threadCount * Load.rowsOfThread {
            model.items[id] = try await items.get(id)
        }
        for thread in 0..<Load.threadCount {
            let key = "thread \(thread)"
            model.labels[key] = try await labels.get(key)?.value
        }
        for id in 0..<Load.visitCount { model.visits[id] = try await visits.get(id) }
        return model
    }
}

extension StoreEnvironment {
    /// The machine with a failpoint, and with checkpoints so frequent that a failpoint can hit one.
    static func watched(
        _ directory: String, _ configuration: StoreConfiguration
    ) -> StoreEnvironment {
        var environment = StoreEnvironment.machine(readers: 2)
        environment.disk = FailpointDisk(root: directory)
        var options = SQLiteOptions()
        options.readerCount = 2
        options.checkpointPages = 40
        environment.opener = SQLiteOpener(options)
        return environment
    }
}
