package import EventLog
import Foundation

/// The parts of the machine that a store uses; tests use their own.
package struct StoreEnvironment: Sendable {
    package var disk: any Disk
    package var time: any TimeSource
    /// Makes salts and jitter.
    package var random: @Sendable () -> UInt64
    /// Opens the store's database.
    package var opener: any SinkOpener
    /// Databases beside the store's own, each of which follows the log by itself.
    package var secondaries: [SecondaryDatabase.Place] = []
    /// How a write waits for room in staging.
    package var waitForRoom: @Sendable (Log, UInt64) -> Void = { $0.waitForRoom($1) }
    /// How the store's threads are started.
    package var startThread: StartThread = NamedThread.start
    /// Runs the store's workers; if it is nil, each has a thread.
    package var driver: (any WorkerDriver)?
    /// How the log is read on while what was read before is worked on.
    package var alongside: Alongside = Worker.alongside
    /// How many rows of the database are read at once where all of them are.
    package var rowsAScan = 1024

    package init(
        disk: any Disk, time: any TimeSource, random: @escaping @Sendable () -> UInt64,
        opener: any SinkOpener
    ) {
        self.disk = disk
        self.time = time
        self.random = random
        self.opener = opener
    }
}
