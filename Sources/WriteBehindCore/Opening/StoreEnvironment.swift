package import EventLog
import Foundation

/// The parts of the machine that a store uses; tests use their own.
package struct StoreEnvironment: Sendable {
    package var disk: any Disk
    package var time: any TimeSource
    /// Random numbers, for salts and jitter.
    package var random: @Sendable () -> UInt64
    /// Opens the store's database.
    package var opener: any SinkOpener
    /// Databases beside the store's own, each of which follows the log by itself.
    package var secondaries: [SecondaryDatabase.Place] = []
    /// How a write waits for room in staging.
    package var waitForRoom: @Sendable (Log, UInt64) -> Void = { $0.waitForRoom($1) }
    /// How a blocking read waits until the database has come as far as a sequence.
    package var waitForDatabase: @Sendable (Engine, UInt64) -> Void = {
        $0.waitWhileWorkersRun(for: $1)
    }
    /// How long the first transaction in a line waits while no turn is served.
    package var turnPatience = Turns.patience
    /// How the store's threads are started.
    package var startThread: StartThread = NamedThread.start
    /// Runs the store's workers; if it is nil, each has a thread.
    package var driver: (any WorkerDriver)?
    /// How the next part of the log is read while the part before it is processed.
    package var alongside: Alongside = Worker.alongside
    /// How many rows are read at once when all rows of the database are read.
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
