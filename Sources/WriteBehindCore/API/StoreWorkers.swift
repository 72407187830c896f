import EventLog
import Logging

extension Store {
    static func makeReporter(_ store: OpenStore, _ watchdog: Watchdog) -> Reporter {
        let quarantine = Quarantine(
            engine: store.engine, materializer: store.materializer, pins: store.pins)
        let secondaries = store.secondaries.map {
            SecondaryQuarantine(database: $0, engine: store.engine)
        }
        return Reporter(
            store, health: { watchdog.health },
            retry: { RetryRequest.Answer(trying: quarantine, secondaries) })
    }

    /// The threads of a store that can be written, and what drives them.
    static func makeWorkers(
        _ store: OpenStore, _ startThread: @escaping StartThread
    ) -> [Worker] {
        guard let flusher = store.engine.log.flusher, let work = store.engine.log.work else {
            return []
        }
        let materializer = store.materializer
        let expirer = store.expirer
        let snapshotter = store.snapshotter
        let logger = store.engine.configuration.logger
        let pause = store.engine.configuration.expiryInterval.nanoseconds
        // The database still has the deleted rows until the log is applied to it.
        let shortPause = min(pause, store.engine.configuration.materializeInterval.nanoseconds)
        return [
            // A task that waits for `durable` after each write asks again within some 30 µs.
            Worker("flusher", signal: work, polling: 50_000, startThread: startThread) {
                flusher.step()
            },
            Worker("materializer", signal: materializer.work, startThread: startThread) {
                materializer.step()
            },
            Worker(
                "snapshotter", signal: snapshotter.work, isBackground: true,
                startThread: startThread
            ) {
                snapshotter.step()
            },
            Worker("expirer", signal: store.engine.cleared, startThread: startThread) {
                do throws(StoreError) {
                    let wait = try expirer.work(interval: pause, shortInterval: shortPause)
                    return .wait(nanoseconds: wait)
                } catch {
                    // The workers of the database and the log report the cause, and wait until it ends.
                    logger.debug("rows could not expire", metadata: ["cause": "\(error)"])
                }
                return .wait(nanoseconds: pause)
            },
            makeIndexer(store, startThread),
        ] + store.secondaries.map { worker(for: $0, startThread) }
    }

    /// Lets a little time pass. To be called on a thread that may wait.
    func pause(_ nanoseconds: UInt64) {
        guard let driver else {
            Signal().wait(after: 0, nanoseconds: nanoseconds)
            return
        }
        driver.run(for: max(1, nanoseconds)) { false }
    }

    /// Brings a write to a stage while the time of `driver` passes.
    /// - Returns: whether within this time the write has reached the stage, or has turned out never to reach it.
    func drive(
        _ driver: any WorkerDriver, to stage: Stage, _ receipt: Receipt, within time: Duration
    ) -> Bool {
        let sequence = receipt.sequence
        let list: WaitList
        switch stage {
        case .staged: return true
        case .durable:
            list = store.durable
            engine.log.flusher?.request(durable: sequence)
        case .materialized:
            list = engine.materialized
            engine.log.flusher?.request(readable: sequence)
            driver.runDue()
            store.materializer.request(sequence)
        }
        driver.run(for: time.nanoseconds) { list.isDecided(sequence) }
        return list.isDecided(sequence)
    }

    /// A store that can only be read has this worker, too.
    static func makeIndexer(_ store: OpenStore, _ startThread: @escaping StartThread) -> Worker {
        let builder = store.indexBuilder
        return Worker(
            "indexer", signal: builder.work, startThread: startThread
        ) {
            builder.step()
        }
    }

    private static func worker(
        for secondary: SecondaryDatabase, _ startThread: @escaping StartThread
    ) -> Worker {
        Worker(
            "materializer of \(secondary.name)", signal: secondary.work,
            startThread: startThread
        ) {
            secondary.step()
        }
    }
}
