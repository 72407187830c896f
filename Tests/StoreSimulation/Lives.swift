import EventLog
import Glibc
import TestSupport
import WriteBehind

// A life of the store lasts from one opening to its end, however that comes.

extension SimulatedStore {
    // MARK: opening

    func open(_ end: End, salt: UInt64) throws {
        let store = try OpenStore(
            path: "/store", configuration: configuration(end), environment: environment(salt))
        self.store = store
        checkWhatSurvived()
        try declareTables()
        checkView()
    }

    private func configuration(_ end: End) -> StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.cacheLimit = end.shardCount == 1 ? 8 << 20 : end.shardCount * 16 << 20
        configuration.stagingSlots = end.stagingSlots
        configuration.stagingSlotSize = end.slotPages * 4 << 10
        configuration.blockSize = 256
        configuration.segmentSize = max(segmentSize, end.hasLargeSegments ? 16 << 10 : 4 << 10)
        configuration.compressionLevel = -5
        configuration.batchRecords = end.batchRecords
        configuration.batchBytes = 1 << 20
        configuration.snapshotMemory = 1 << 20
        configuration.snapshotAfter = end.snapshotAfter
        configuration.logKept = .milliseconds(200)
        configuration.logBytesKept = 8 << 10
        configuration.retryLimit = .milliseconds(200)
        configuration.logger = Complaints.logger(heard, withRemarks: isTraced)
        if end.isTight, !mayQuarantine {
            configuration.dirtyLimit = 400 * end.shardCount
            configuration.backlogLimit = 2000
        }
        return configuration
    }

    /// What is in quarantine stays in memory, where it would leave little limits no room.
    private var mayQuarantine: Bool {
        guard let content = database.content else { return false }
        return !content.quarantine.isEmpty || !content.refused.isEmpty
    }

    private func environment(_ salt: UInt64) -> StoreEnvironment {
        let salts = Locked(SeededRandom(seed: salt))
        var environment = StoreEnvironment(
            disk: disk, time: time, random: { salts.withLock { $0.next() } },
            openSink: { [database] (_, _, origin) throws(SinkError) in
                database.open(origin: origin)
            },
            setAside: { [database] (_, _) throws(SinkError) in database.replace(with: nil) })
        environment.waitForRoom = { log, _ in
            log.flusher?.request(durable: log.lastSequence)
            _ = log.flusher?.step()
        }
        environment.alongside = { other, body in
            other()
            body()
        }
        return environment
    }

    private func declareTables() throws {
        guard let engine, store?.damage == nil else { return }
        for schema in Tables.schemas where engine.tables[schema.name] == nil {
            try declare(schema)
        }
    }

    func declare(_ schema: TableSchema) throws {
        guard let engine else { return }
        _ = try engine.declare(schema)
        let sequence = engine.log.lastSequence
        model.append(.init(receipt: Receipt(firstSequence: sequence, sequence: sequence)))
    }

    // MARK: ending

    /// Ends this life and begins the next.
    func finish(_ end: End) {
        endLife(end)
        reopen(after: end)
    }

    func endLife(_ end: End) {
        disk.stopFailing()
        disk.capacity = nil
        database.withState { ($0.failures, $0.nextReadFails) = ([], false) }
        var random = SeededRandom(seed: end.salt)
        if end.isCrash {
            if end.isClosing { beginClosing(end.operation) }
            crash(end.kind == .powerLoss, &random)
        } else {
            do {
                try close()
            } catch {
                judge(error)
                crash(false, &random)
            }
        }
        switch end.kind {
        case .restore: if let backup { database.replace(with: backup) }
        case .loseDatabase: database.replace(with: nil)
        case .kill, .powerLoss, .close: break
        }
    }

    func reopen(after end: End) {
        var random = SeededRandom(seed: end.salt ^ 0xABCD)
        for operation in end.inRecovery {
            disk.fail(at: operation, with: .errno(EIO), permanently: true)
            isTroubled = true
            do {
                try open(end, salt: random.next())
            } catch {
                note("recovery ends: \(error)")
            }
            guard fault == nil else { return }
            disk.stopFailing()
            crash(Bool.random(using: &random), &random)
        }
        hear()
        isTroubled = false
        do {
            try open(end, salt: random.next())
        } catch {
            return fail("opening", "\(error)")
        }
        follower.reopen()
        noteDurable()
        if end.readsAll { checkReads() } else if end.salt & 3 == 0 { check { try lookBack(0) } }
    }

    /// What a crash finds half done.
    private func beginClosing(_ operation: Int) {
        isTroubled = true
        if operation > 0 { disk.fail(at: operation, with: .errno(EIO), permanently: true) }
        do {
            try engine?.log.close()
        } catch {
            note("closing ends: \(error)")
        }
        disk.stopFailing()
    }

    private func crash(_ losesPower: Bool, _ random: inout SeededRandom) {
        noteDurable()
        let survives = engine?.log.survivesProcessDeath ?? true
        if losesPower || !survives { mayLose = true }
        disk.crash(losesPower ? .power : .process, using: &random)
        if losesPower {
            database.losePower(using: &random)
            time.reboot()
        }
        store = nil
        crashes += 1
    }

    func close() throws {
        try engine?.log.close()
        noteDurable()
        try engine?.sink.close()
        store?.unlock()
        store = nil
    }
}
