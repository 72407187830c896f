package import EventLog
import Foundation

/// What a store takes from the machine; tests put their own in its place.
package struct StoreEnvironment: Sendable {
    package var disk: any Disk
    package var time: any TimeSource
    /// Makes salts and jitter.
    package var random: @Sendable () -> UInt64
    /// Opens or creates the database of a store, whose disk is given.
    package var openSink:
        @Sendable (
            _ path: String, _ store: StoreID, _ origin: Watermark, _ disk: any Disk
        ) throws(SinkError) -> any Sink
    /// Moves a database out of the way.
    package var setAside:
        @Sendable (_ path: String, _ reason: String, _ disk: any Disk) throws(SinkError) -> Void
    /// How a write waits for room in staging.
    package var waitForRoom: @Sendable (Log, UInt64) -> Void = { $0.waitForRoom($1) }
    /// How the log is read on while what was read before is worked on.
    package var alongside: Alongside = Worker.alongside

    package init(
        disk: any Disk, time: any TimeSource, random: @escaping @Sendable () -> UInt64,
        openSink:
            @escaping @Sendable (String, StoreID, Watermark, any Disk) throws(SinkError) ->
            any Sink,
        setAside: @escaping @Sendable (String, String, any Disk) throws(SinkError) -> Void
    ) {
        self.disk = disk
        self.time = time
        self.random = random
        self.openSink = openSink
        self.setAside = setAside
    }

    /// The real machine, with a database in SQLite.
    ///
    /// - Parameter pageMemory: what the connection that writes the database may take.
    package static func machine(
        readers: Int, pageMemory: Int? = nil, disk: any Disk = PosixDisk()
    ) -> StoreEnvironment {
        StoreEnvironment(
            disk: disk, time: SystemTime(), random: { .random(in: 1 ... .max) },
            openSink: { (path, store, origin, disk) throws(SinkError) in
                var options = SQLiteOptions()
                options.readerCount = max(1, readers)
                if let pageMemory { options.writerCache = max(1024, pageMemory >> 10) }
                return try SQLiteSink(
                    path: path, storeID: store.bytes, origin: origin, disk: disk,
                    options: options)
            },
            setAside: { (path, reason, disk) throws(SinkError) in
                _ = try SQLiteSink.setAside(path: path, reason: reason, disk: disk)
            })
    }

    /// The real machine, as a store of this configuration uses it.
    package static func machine(
        _ configuration: StoreConfiguration, disk: any Disk = PosixDisk()
    ) -> StoreEnvironment {
        machine(
            readers: configuration.readers, pageMemory: configuration.cacheLimit / 4, disk: disk)
    }
}
