import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

/// A store on real files with SQLite, and without threads: what it does, the test does step by step. Letting it go
/// leaves the files as a killed process does.
final class SteppedStore {
    let directory: TemporaryStore
    let store: OpenStore
    var engine: Engine { store.engine }

    init(
        _ directory: TemporaryStore, _ configure: (inout StoreConfiguration) -> Void = { _ in }
    ) throws {
        self.directory = directory
        var configuration = StoreConfiguration.forTools
        configuration.cacheLimit = 8 << 20
        configuration.stagingSlots = 2
        configuration.stagingSlotSize = 1 << 20
        configuration.readers = 1
        configure(&configuration)
        var environment = StoreEnvironment.machine(configuration)
        environment.waitForDatabase = { $0.stepWorkers(toward: $1) }
        environment.waitForRoom = { log, _ in
            log.flusher?.request(readable: log.lastSequence)
            _ = log.flusher?.step()
        }
        store = try OpenStore(
            path: directory.path, configuration: configuration, environment: environment)
    }

    /// Makes everything durable.
    func flush() {
        engine.log.makeReadable(through: engine.log.lastSequence)
    }

    /// Brings everything into the database; false if that does not succeed.
    func materialize() -> Bool {
        flush()
        let end = engine.log.lastSequence
        for _ in 0..<1000 where store.materializer.watermark.sequence < end {
            store.materializer.request(end)
            _ = store.materializer.step()
        }
        return store.materializer.watermark.sequence == end
    }

    /// The files as they are now: what a process that is killed now leaves.
    func killed() throws -> TemporaryStore {
        let copy = TemporaryStore()
        try FileManager.default.copyItem(atPath: directory.path, toPath: copy.path)
        return copy
    }

    func close() throws {
        try engine.log.close()
        try engine.sink.close()
        store.unlock()
    }
}
