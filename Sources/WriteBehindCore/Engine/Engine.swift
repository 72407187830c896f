package import EventLog
import Synchronization

/// The store without types, threads and tasks: bytes in, bytes out.
///
/// Order of locks: the catalog's; then shards of the cache view, ascending; then the log's staging, or indices by
/// their numbers. A write is appended to the log and applied to the view in one critical section, so that for every key
/// the order in the view is the order in the log (I1).
package final class Engine: Sendable {
    /// A number that no other engine of this process has. A receipt holds the number of its store.
    package let number = counter.add(1, ordering: .relaxed).newValue
    private static let counter = Atomic<UInt32>(0)
    package let log: Log
    package let view: CacheView
    package let time: any TimeSource
    package let backlog: BacklogMeter
    package let configuration: StoreConfiguration
    /// The tasks that wait for `durable` and for `materialized`.
    package let readable: WaitList
    package let materialized: WaitList
    private let catalog: Lock<Catalog>
    /// How often a table was defined or changed. When it changes, a handle must check its columns again against those of its
    /// table.
    let generation = Atomic<UInt32>(0)
    /// The tables that have an index, by the last six bits of their numbers.
    let indexedTables = Atomic<UInt64>(0)
    package let indices: TableIndices
    let assignedKeys = AssignedKeys()
    let current: Lock<CurrentSink>
    package let turns: Turns
    /// Raised when there is memory to free.
    let cleared = Signal()
    /// The error of a read after which the database must be replaced. The watchdog takes it.
    let sinkFailure = Lock<(sink: any Sink, error: SinkError)?>(nil)
    /// How a write waits for room in staging. A simulation steps the flusher instead.
    private let waitForRoom: @Sendable (Log, UInt64) -> Void
    package let reads: CountedReads

    package init(
        log: Log, view: CacheView, sink: any Sink, catalog: Catalog, watermark: UInt64,
        backlog: BacklogMeter, readable: WaitList, configuration: StoreConfiguration,
        waitForRoom: @escaping @Sendable (Log, UInt64) -> Void = { $0.waitForRoom($1) },
        reads: CountedReads = CountedReads(), turns: Turns = Turns()
    ) {
        self.log = log
        self.view = view
        current = Lock(CurrentSink(sink: sink))
        self.catalog = Lock(catalog)
        self.backlog = backlog
        self.readable = readable
        self.configuration = configuration
        self.waitForRoom = waitForRoom
        self.reads = reads
        self.turns = turns
        indices = TableIndices(limit: configuration.indexLimit)
        time = log.environment.time
        materialized = WaitList(reached: watermark)
    }

    package var tables: Catalog { catalog.withLock { $0 } }

    /// Milliseconds of the monotonic clock, by which times to live are measured.
    package var milliseconds: UInt64 { time.monotonicNanoseconds() / 1_000_000 }

    // MARK: schema

    /// Logs a table's definition if it is new or differs from the one that the table has.
    func define(
        _ declared: TableSchema, byName: Bool
    ) throws(StoreError) -> TableDefinition {
        while true {
            let (definition, outcome) = try catalog.withLock { (catalog) throws(StoreError) in
                try define(declared, byName: byName, in: &catalog)
            }
            guard let outcome, case .full = outcome else { return definition }
            wait(outcome)
        }
    }

    /// The outcome is nil if the table is already as it is declared.
    private func define(
        _ declared: TableSchema, byName: Bool, in catalog: inout Catalog
    ) throws(StoreError) -> (TableDefinition, Staging.Outcome?) {
        let definition = try Self.schemaErrors { () throws(SchemaError) in
            try catalog.definition(for: declared, byName: byName)
        }
        guard let definition else {
            guard let known = catalog[declared.name] else { throw .unknownTable(declared.name) }
            return (known, nil)
        }
        if let objection = sink.objection(to: definition) { throw .schema(objection) }
        let outcome = try log(definition, in: &catalog)
        if case .appended = outcome {
            // The defaults are set before any caller can have the table, because a patch of an older row needs them. A
            // put under a shard's lock either comes before that, or sees the new generation.
            generation.add(1, ordering: .relaxed)
            setDefaults(definition)
            followInIndices(definition)
        }
        return (definition, outcome)
    }

    /// Logs the highest id that rows of a table may have been given, unless staging is full.
    func note(assigned: Int64, in table: UInt16) throws(StoreError) -> Staging.Outcome {
        try catalog.withLock { (catalog) throws(StoreError) in
            guard let known = catalog[UInt32(table)] else { throw .unknownTable("\(table)") }
            let definition = try Self.schemaErrors { () throws(SchemaError) in
                try catalog.definition(of: known, assigned: assigned)
            }
            return try log(definition, in: &catalog)
        }
    }

    /// Logs a definition and applies it to the catalog, unless staging is full. It does not wait for room, because the
    /// watchdog and ``Store/health`` wait for the catalog's lock.
    private func log(
        _ definition: TableDefinition, in catalog: inout Catalog
    ) throws(StoreError) -> Staging.Outcome {
        let outcome = try commitIfRoom(CommitBuilder(define: definition))
        if case .appended = outcome {
            try Self.schemaErrors { () throws(SchemaError) in try catalog.define(definition) }
        }
        return outcome
    }

    static func schemaErrors<R>(
        _ body: () throws(SchemaError) -> R
    ) throws(StoreError) -> R {
        do throws(SchemaError) {
            return try body()
        } catch {
            throw .schema(error)
        }
    }

    /// Lets the view complete rows that were written before their newest columns existed.
    package func setDefaults(_ definition: TableDefinition) {
        let defaults = RowCodec.defaults(definition.schema)
        view.forEachShard { $0.setDefaults(table: UInt16(definition.id), defaults) }
    }

    // MARK: writing one row

    /// Puts or deletes a row.
    @inline(__always)
    package func write(
        _ change: ChangeKind, table: UInt16, key: Span<UInt8>, body: Span<UInt8>,
        deadline: UInt64? = nil
    ) throws(StoreError) -> Receipt {
        let receipt = try write(
            change, table: table, key: key, body: body, deadline: deadline, generation: nil)
        guard let receipt else { preconditionFailure("a write of no generation is out of date") }
        return receipt
    }

    /// Puts or deletes a row, as most writes do. Returns nil, with nothing written, if a table was changed since
    /// `generation`, because the row may lack them.
    @inline(__always)
    func write(
        _ change: ChangeKind, table: UInt16, key: Span<UInt8>, body: Span<UInt8>,
        deadline: UInt64?, generation: UInt32?
    ) throws(StoreError) -> Receipt? {
        let hash = view.hash(table: table, key: key)
        let capacity = CommitBuilder.recordOverhead + key.count + body.count
        return try unsafe withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) {
            (buffer) throws(StoreError) in
            let record = unsafe CommitBuilder.write(
                change.operation, table: UInt32(table), key: key, body: body, to: buffer)
            while true {
                let outcome = try view.withShard(of: hash) {
                    (shard) throws(StoreError) -> Staging.Outcome? in
                    shard.prefetch(hash)
                    if let generation, generation != self.generation.load(ordering: .relaxed) {
                        return nil
                    }
                    try admit(&shard, Shard.cost(keyLength: key.count, bodyLength: body.count))
                    let outcome = try unsafe append(record, count: 1, flags: .plain)
                    if case .appended(let sequence) = outcome {
                        shard.apply(change, hash, table, key, body, sequence, deadline)
                        if mayHaveIndex(table) { index(change, hash, table, key, body) }
                    }
                    return outcome
                }
                guard let outcome else { return nil }
                if case .appended(let sequence) = outcome {
                    return Receipt(
                        firstSequence: sequence, sequence: sequence, store: number)
                }
                wait(outcome)
            }
        }
    }

    private static let noMemory =
        "the machine gives no more memory for rows, though cacheLimit allows it; see the limits of the process "
        + "(ulimit -v, ulimit -d) and vm.overcommit_memory"

    /// Throws when the store is too far behind to take another write.
    @inline(__always)
    func admit(_ shard: inout Shard, _ cost: Int) throws(StoreError) {
        if backlog.isFull {
            throw .backlogFull(.bytesOnDisk(limit: configuration.backlogLimit))
        }
        guard shard.admits(cost, largest: cost) else {
            if shard.lacksMemory { throw .noResources(Self.noMemory) }
            throw .backlogFull(.dirtyBytes(limit: view.dirtyLimit))
        }
    }

    @inline(__always)
    @unsafe func append(
        _ records: UnsafeRawBufferPointer, count: UInt32, flags: LogFlags
    ) throws(StoreError) -> Staging.Outcome {
        do throws(LogError) {
            return try unsafe log.append(
                records, count: count, flags: flags, time: time.wallMilliseconds(), isTick: true)
        } catch {
            throw StoreError(error)
        }
    }

    func append(
        _ records: RawSpan, count: UInt32, flags: LogFlags
    ) throws(StoreError) -> Staging.Outcome {
        try unsafe records.withUnsafeBytes { (bytes) throws(StoreError) in
            try unsafe append(bytes, count: count, flags: flags)
        }
    }

    /// Refuses further writes, makes everything durable and seals the log.
    func closeLog() throws(StoreError) {
        do throws(LogError) {
            try log.close()
        } catch {
            throw StoreError(error)
        }
    }

    /// Waits for room in staging, with no lock of the view held.
    func wait(_ outcome: Staging.Outcome) {
        if case .full(let ticket) = outcome { waitForRoom(log, ticket) }
    }
}

extension ChangeKind {
    @inline(__always)
    var operation: Operation {
        switch self {
        case .put: .put
        case .patch: .patch
        case .add: .add
        case .delete: .delete
        }
    }
}

extension Shard {
    /// Applies one change that was appended to the log in the same critical section.
    @inline(__always)
    mutating func apply(
        _ change: ChangeKind, _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>,
        _ body: Span<UInt8>, _ sequence: UInt64, _ deadline: UInt64?
    ) {
        do throws(MalformedRecord) {
            try replay(change, hash, table, key, body, sequence, deadline)
        } catch {
            // Patches come from our own codec, and rows are checked on their way into memory.
            preconditionFailure("a row in memory is malformed: \(error.reason)")
        }
    }

    /// Applies one change; throws, with nothing changed, only on bytes that no codec wrote.
    @inline(__always)
    mutating func replay(
        _ change: ChangeKind, _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>,
        _ body: Span<UInt8>, _ sequence: UInt64, _ deadline: UInt64? = nil
    ) throws(MalformedRecord) {
        switch change {
        case .put: put(hash, table, key, body, sequence: sequence, deadline: deadline)
        case .delete: delete(hash, table, key, sequence: sequence)
        case .patch: try patch(hash, table, key, body, sequence: sequence)
        case .add: try add(hash, table, key, body, sequence: sequence)
        }
    }
}
