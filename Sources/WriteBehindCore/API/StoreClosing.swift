import EventLog
import Logging
import Synchronization

extension Store {
    /// Closes the store: refuses further writes, makes everything durable, brings the database up to date until
    /// the deadline, and releases the store's directory.
    ///
    /// If the database does not hold everything by then, nothing is lost: the next open goes on from there. A second call
    /// waits until the store is closed.
    ///
    /// When it returns, the store has no file open and nothing mapped: its directory may be moved, removed or
    /// unmounted while the `Store` value still exists.
    ///
    /// - Parameter deadline: how long bringing the database up to date may take; nil takes
    ///   ``StoreConfiguration/closeDeadline``.
    /// - Throws: ``StoreError/logFailed(_:)`` or ``StoreError/diskFull(_:)`` when the log could not be synced.
    ///   The store is closed even so, and ends like a killed process: the next open recovers what there is.
    @discardableResult
    public func close(deadline: Duration? = nil) async throws(StoreError) -> CloseReport {
        guard !isClosed.exchange(true, ordering: .relaxed) else {
            try await closing.wait(for: 1)
            return report
        }
        let deadline = deadline ?? configuration.closeDeadline
        let result: Result<CloseReport, StoreError> = await withCheckedContinuation {
            continuation in
            // Must not run on a task's thread, because it waits for threads and disks.
            let closing: @Sendable () -> Void = {
                continuation.resume(
                    returning: Result { () throws(StoreError) in try self.closeBlocking(deadline) })
            }
            do throws(NoThread) {
                try store.startThread("wb-closer", closing)
            } catch {
                // The watchdog's thread runs as long as the store is open.
                if watchdogWorker.perform(closing) { return }
                isClosed.store(false, ordering: .relaxed)
                continuation.resume(returning: .failure(.noResources("\(error)")))
            }
        }
        return try result.get()
    }

    private var report: CloseReport {
        // What a database may forget is not said to be in it.
        CloseReport(
            durable: engine.log.readable,
            materialized: mayForget.load(ordering: .relaxed) ? 0 : engine.inDatabase)
    }

    private func closeBlocking(_ deadline: Duration) throws(StoreError) -> CloseReport {
        let isWritable = store.damage == nil
        // This may need room in staging, so the flusher must still run.
        if isWritable { engine.closeAssignedKeys() }
        // The flusher stops after the workers that write, because they may wait for room that it makes.
        for worker in workers.reversed() where !worker.name.hasPrefix("materializer") {
            worker.stop()
        }
        let end = engine.time.monotonicNanoseconds() + deadline.nanoseconds
        defer { release(at: end) }
        if isWritable { try engine.closeLog() }
        var kept = Kept()
        while isWritable, engine.time.monotonicNanoseconds() < end, !areComplete(&kept, end) {
            store.materializer.request(engine.log.readable)
            for secondary in store.secondaries { secondary.request(engine.log.readable) }
            pause(kept.hasFailed ? 50_000_000 : 2_000_000)
        }
        if isWritable, engine.configuration.snapshotAtClose { snapshotBlocking(until: end) }
        if kept.hasFailed { mayForget.store(true, ordering: .relaxed) }
        return report
    }

    /// The databases that keep everything, while the store is being closed.
    private struct Kept {
        var primary = false
        var secondaries: Set<String> = []
        /// Whether the primary could not be made to.
        var hasFailed = false
    }

    /// Whether all databases hold the whole log, and keep it even if their servers end: nobody would bring them up to date
    /// until the next opening. Closing does not wait for a secondary database that fails.
    private func areComplete(_ kept: inout Kept, _ end: UInt64) -> Bool {
        let readable = engine.log.readable
        let failing = store.status.current.secondaryTroubles
        let working = store.secondaries.filter { failing[$0.name] == nil }
        guard engine.inDatabase >= readable,
            working.allSatisfy({ $0.reached ?? 0 >= readable })
        else { return false }
        if !kept.primary {
            let error = store.materializer.keep(engine.sink, within: timeLeft(until: end))
            (kept.primary, kept.hasFailed) = (error == nil, error.map { $0.kind != .busy } ?? false)
        }
        for secondary in working where !kept.secondaries.contains(secondary.name) {
            guard secondary.keep(within: timeLeft(until: end)) else { continue }
            kept.secondaries.insert(secondary.name)
        }
        return kept.primary && working.allSatisfy { kept.secondaries.contains($0.name) }
    }

    private func timeLeft(until end: UInt64) -> UInt64 {
        let now = engine.time.monotonicNanoseconds()
        return end > now ? end - now : 0
    }

    /// Makes a snapshot of everything, if there is time.
    private func snapshotBlocking(until end: UInt64) {
        let snapshotter = store.snapshotter
        while !snapshotter.reaches(engine.log.readable), engine.time.monotonicNanoseconds() < end {
            // Each time, because a failure ends the request.
            snapshotter.request(engine.log.readable)
            if case .wait(let nanoseconds) = snapshotter.step() {
                pause(min(nanoseconds ?? .max, 2_000_000))
            }
        }
    }

    private func release(at end: UInt64) {
        for worker in workers + lookouts { worker.stop() }
        reporter?.end()
        store.endWaiting()
        do throws(SinkError) {
            try engine.sink.close(readsMayLast: timeLeft(until: end))
        } catch {
            engine.configuration.logger.error(
                "the database did not close cleanly; nothing is lost",
                metadata: ["cause": "\(error)"])
        }
        for secondary in store.secondaries { secondary.close() }
        store.unlock()
        closing.advance(to: 1)
    }
}
