import Logging
import TestSupport
import WriteBehind

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

/// What a thread writes, by its seed: the child does it, and the parent knows it without being told.
struct Load {
    static let threadCount = 4
    static let rowsOfThread = 40

    enum Change {
        case put(Item)
        case update(Int, note: String)
        case increment(Int, by: Int)
        case delete(Int)
        /// Two rows, a row that goes, and a row of another table: one commit.
        case transaction([Item], deleting: Int, KeyValue)
    }

    private let thread: Int
    private var random: SeededRandom

    init(seed: UInt64, round: Int, thread: Int) {
        self.thread = thread
        random = SeededRandom(
            seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(round * Self.threadCount + thread))
    }

    private mutating func someID() -> Int {
        Int.random(in: 0..<Self.rowsOfThread, using: &random) * Self.threadCount + thread
    }

    private mutating func someNote() -> String {
        String(repeating: "x", count: .random(in: 0...300, using: &random))
    }

    private mutating func someItem() -> Item {
        let value = Int.random(in: 0..<1_000_000, using: &random)
        return Item(
            id: someID(), value: value, note: Bool.random(using: &random) ? someNote() : nil)
    }

    mutating func next() -> Change {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4: .put(someItem())
        case 4..<6: .update(someID(), note: someNote())
        case 6..<8: .increment(someID(), by: .random(in: -9...9, using: &random))
        case 8: .delete(someID())
        default:
            .transaction(
                [someItem(), someItem()], deleting: someID(),
                KeyValue(key: "thread \(thread)", value: [UInt8(random.next() & 0xFF)]))
        }
    }
}

/// What the store must hold.
struct Model: Equatable {
    var items: [Int: Item] = [:]
    var labels: [String: [UInt8]] = [:]

    mutating func apply(_ change: Load.Change) {
        switch change {
        case .put(let item): items[item.id] = item
        case .update(let id, let note): items[id]?.note = note
        case .increment(let id, let amount): items[id]?.value += amount
        case .delete(let id): items[id] = nil
        case .transaction(let new, let deleted, let label):
            for item in new { items[item.id] = item }
            items[deleted] = nil
            labels[label.key] = label.value
        }
    }

    /// The part that one thread writes.
    func part(of thread: Int) -> Model {
        Model(
            items: items.filter { $0.key % Load.threadCount == thread },
            labels: labels.filter { $0.key == "thread \(thread)" })
    }
}

/// The store with its tables open.
struct Tables {
    let store: Store
    let items: StoredTable<Item>
    let labels: StoredTable<KeyValue>

    init(at path: String) throws {
        store = try Store(at: path, configuration: Self.configuration)
        items = try store.table(Item.self)
        labels = try store.keyValues()
    }

    /// Small buffers and short pauses, so that a kill finds everything in the middle of something.
    static var configuration: StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.cacheLimit = 8 << 20
        configuration.stagingSlotSize = 64 << 10
        configuration.blockSize = 8 << 10
        configuration.segmentSize = 256 << 10
        configuration.syncInterval = .milliseconds(15)
        configuration.materializeInterval = .milliseconds(10)
        configuration.logger.logLevel = .critical
        return configuration
    }

    /// The sequence that was acknowledged; 0 where there was nothing to change.
    func apply(_ change: Load.Change) async throws -> UInt64 {
        switch change {
        case .put(let item): return try items.put(item).sequence
        case .update(let id, let note):
            return try await items.update(id) { $0.note = note }?.sequence ?? 0
        case .increment(let id, let amount):
            return try await items.increment(id, "value", by: amount)?.receipt.sequence ?? 0
        case .delete(let id): return try items.delete(id).sequence
        case .transaction(let new, let deleted, let label):
            return try store.transaction { transaction in
                for item in new { try transaction.put(item, in: items) }
                try transaction.delete(deleted, from: items)
                try transaction.put(label, in: labels)
            }.sequence
        }
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
        return model
    }
}
