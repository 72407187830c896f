import EventLog
import Glibc
import TestSupport
import WriteBehindCore
import WriteBehindInspection

// A life of the store lasts from its opening to its end, of whatever kind.

extension SimulatedStore {
    // MARK: opening

    func open(_ end: End, salt: UInt64) throws {
        let store = try OpenStore(
            path: "/store", configuration: configuration(end), environment: environment(salt))
        self.store = store
        // An index that is being built makes all of the log be synced. That would hide missing syncs.
        hasIndices = salt.isMultiple(of: 2)
        hasProjection = salt % 5 != 3
        checkWhatSurvived()
        try declareTables()
        declareProjection(end)
        checkView()
    }

    func configuration(_ end: End) -> StoreConfiguration {
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

    /// Rows in quarantine stay in memory, and would leave no room within small limits.
    private var mayQuarantine: Bool {
        guard let content = database.content else { return false }
        return !content.quarantine.isEmpty || !content.refused.isEmpty
    }

    func environment(_ salt: UInt64) -> StoreEnvironment {
        let salts = Locked(SeededRandom(seed: salt))
        var environment = StoreEnvironment(
            disk: disk, time: time, random: { salts.withLock { $0.next() } },
            opener: SimulatedOpener(database: database))
        environment.secondaries = [
            SecondaryDatabase.Place("secondary", SimulatedOpener(database: secondary))
        ]
        environment.waitForRoom = { log, _ in
            log.flusher?.request(readable: log.lastSequence)
            _ = log.flusher?.step()
        }
        environment.waitForDatabase = { [patience] engine, sequence in
            engine.stepWorkers(toward: sequence, steps: patience.withLock { $0 })
        }
        environment.rowsAScan = 2
        environment.alongside = { other, body in
            other()
            body()
        }
        return environment
    }

    private func declareTables() throws {
        guard let engine, store?.damage == nil else { return }
        for declarations in Tables.declarations[..<Tables.earlyCount]
        where engine.tables[declarations[0].name] == nil {
            try declare(declarations[0])
        }
        try declareIndices()
    }

    func declare(_ schema: TableSchema) throws {
        guard let engine else { return }
        let definition = try engine.declare(schema)
        let sequence = engine.log.lastSequence
        model.append(.init(receipt: Receipt(firstSequence: sequence, sequence: sequence, store: 0)))
        definitions.append((sequence, definition))
    }

    // MARK: ending

    /// Ends this life and begins the next.
    func finish(_ end: End) {
        endLife(end)
        reopen(after: end)
    }

    func endLife(_ end: End) {
        restorePositions()
        disk.stopFailing()
        disk.capacity = nil
        database.withState { ($0.failures, $0.nextReadFails) = ([], false) }
        secondary.withState { $0.failures = [] }
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
        consumer.reopen()
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
        if let room = end.room, openWhereThereIsLittle(room, end, &random) { return }
        guard fault == nil else { return }
        isTroubled = false
        let seen = end.salt & 7 == 1 ? inspected() : nil
        spoilPositions(end)
        do {
            try open(end, salt: random.next())
        } catch {
            return fail("opening", "\(error)")
        }
        seen.map(checkInspection)
        begin(end)
    }

    private func begin(_ end: End) {
        follower.reopen()
        noteDurable()
        if end.readsAll { checkReads() } else if end.salt & 3 == 0 { check { try lookBack(0) } }
    }

    /// Opens the store on a disk that is full except for some bytes. True if that succeeds; otherwise another try must leave
    /// no more behind than the first.
    private func openWhereThereIsLittle(
        _ room: Int, _ end: End, _ random: inout SeededRandom
    ) -> Bool {
        isTroubled = true
        disk.capacity = disk.usedBytes + room
        defer { hear() }
        var left: [Int] = []
        for _ in 0..<3 where fault == nil {
            do {
                try open(end, salt: random.next())
                begin(end)
                return true
            } catch {
                note("with \(room) bytes left: \(error)")
                judge(error)
                left.append(disk.usedBytes)
            }
        }
        if left.count == 3, left[2] > left[1] {
            fail("full disk", "each try to open leaves more behind: \(left)")
        }
        disk.capacity = nil
        return false
    }

    /// The verdict of a tool that only reads, on the store that will be opened next.
    private func inspected() -> (end: UInt64, worst: Finding.Severity?)? {
        // A store that was killed while it was made has no identity yet.
        guard
            let inspection = try? StoreInspection(
                path: "/store", disk: disk, trustsWitnesses: false)
        else { return nil }
        do {
            return (inspection.end, try LogVerification(inspection).worst)
        } catch {
            fail("verify", "\(error)")
            return nil
        }
    }

    private func checkInspection(_ seen: (end: UInt64, worst: Finding.Severity?)) {
        guard fault == nil, let engine else { return }
        let end = engine.log.recoveredEnd.nextSequence - 1
        if seen.worst == .corrupt { fail("verify", "what can be opened is called corrupt") }
        if seen.end != end { fail("verify", "it saw the end at \(seen.end), opening at \(end)") }
    }

    /// Begins to close the store, for a crash in the middle of it.
    private func beginClosing(_ operation: Int) {
        isTroubled = true
        if operation > 0 { disk.fail(at: operation, with: .errno(EIO), permanently: true) }
        closeAssignedKeys()
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
            secondary.losePower(using: &random)
            time.reboot()
        }
        store = nil
        crashes += 1
    }

    private func closeAssignedKeys() {
        engine?.closeAssignedKeys()
        noteDefinitions()
    }

    func close() throws {
        consumer.reopen()
        closeAssignedKeys()
        try engine?.log.close()
        noteDurable()
        try engine?.sink.close()
        for secondary in store?.secondaries ?? [] { secondary.close() }
        store?.unlock()
        store = nil
    }
}
