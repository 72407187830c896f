/// The open log of one store: recovered, and ready for appends unless it is damaged.
///
///     append ──▶ Staging ──▶ Flusher ──▶ segments ──▶ LogReader
///
/// After ``append(_:count:flags:time:)`` returned, a commit survives the death of the process if
/// ``survivesProcessDeath`` says so, and power loss once ``durable`` has reached it. The next open finds
/// a prefix of the appended commits, never one with a gap.
package final class Log: Sendable {
    package let environment: LogEnvironment
    package let options: LogOptions
    /// The findings on disk, and what was done about them.
    package let judgement: Judgement
    package let recovery: RecoveryReport
    /// The schemas as of the recovered end.
    package let preamble: Preamble
    /// The end of the log when it was opened.
    package let recoveredEnd: LogEnd
    // Both are nil if the log is damaged and only read. They are separate, because otherwise an append would count
    // references to both.
    private let staging: Staging?
    /// Drives the log forward; nil if the log is damaged and only read.
    package let flusher: Flusher?
    /// Whether a commit survives `kill -9` as soon as it is appended: the buffer is a mapped file.
    package let survivesProcessDeath: Bool

    /// Recovers the log and makes it ready to be continued.
    ///
    /// The caller holds the store's lock and has created its directories. If the log is damaged, it is
    /// opened for reading only, up to the damage, and nothing on disk is changed: see ``recovery``.
    ///
    /// - Parameters:
    ///   - witnesses: databases and snapshots that hold a state of the log, as evidence of what had been durable.
    ///   - readFrom: the caller will read the log from this sequence on, so every segment that reaches
    ///     it is checked for damage now. The last segment is always checked.
    package init(
        opening environment: LogEnvironment, options: LogOptions, witnesses: [Witness],
        readFrom: UInt64 = .max
    ) throws(LogError) {
        assert(options.slotCount >= 2)
        self.environment = environment
        self.options = options
        let judge = try Judge(environment, witnesses: witnesses, readFrom: readFrom)
        var repair = Repair(judge, options: options)
        if judge.judgement.damage == nil {
            let end = judge.end
            let (memory, header) = try Self.begin(after: &repair, end, environment, options)
            let staging = Staging(
                memory, header: header, nextSequence: end.nextSequence, lastTime: end.lastTime,
                wakeThreshold: options.blockSize,
                commitLimit: options.rawBlockBound - BlockBuilder.commitOverhead,
                time: environment.time)
            staging.publish(readable: end.nextSequence - 1)
            self.staging = staging
            flusher = Flusher(
                staging: staging, environment: environment, options: options, end: end)
            survivesProcessDeath = memory.survivesProcessDeath
        } else {
            (staging, flusher, survivesProcessDeath) = (nil, nil, false)
        }
        judgement = judge.judgement
        recovery = repair.report
        recoveredEnd = judge.end
        preamble = judge.end.preamble
    }

    /// Everything through this sequence is in segments, synced: it survives power loss, and readers find it.
    package var readable: UInt64 { staging?.readable ?? recoveredEnd.nextSequence - 1 }

    /// Everything through this sequence survives power loss. The part above ``readable`` is in staging alone.
    package var durable: UInt64 { flusher?.durable ?? readable }

    /// Brings commits that are ``durable`` only in staging into segments, where readers find them. It takes a sync; if that
    /// fails, appends are refused as always, and ``readable`` stays behind.
    package func makeDurableReadable() { makeReadable(through: durable) }

    /// Brings everything through a sequence into segments, unless that fails.
    package func makeReadable(through wanted: UInt64) {
        guard readable < wanted, let flusher else { return }
        flusher.request(readable: wanted)
        while readable < wanted, case .stepAgain = flusher.step() {}
    }

    /// The last sequence that was assigned.
    package var lastSequence: UInt64 {
        (staging?.nextSequence ?? recoveredEnd.nextSequence) - 1
    }

    /// The time of the last commit, milliseconds since 1970. No commit has an earlier time than the one before it.
    package var lastTime: UInt64 { staging?.lastTime ?? recoveredEnd.lastTime }

    /// The longest records that one commit may have, in bytes.
    package var commitLimit: Int { staging?.commitLimit ?? 0 }

    /// Raised when the flusher has something to do.
    package var work: Signal? { staging?.work }

    /// Refuses all further writes if the store's files were moved or replaced: see ``FencedDisk``.
    /// Followers call it before they change anything.
    package func checkFence() throws(LogError) { try flusher?.checkFence() }

    /// Why appends throw at present; nil when they do not.
    package var refusal: LogError? {
        if let corruption = recovery.corruption { return .corrupt(corruption) }
        return staging?.refusal
    }

    /// Appends one commit; it waits for nothing.
    ///
    /// Call it before the change is made visible, in the same critical section.
    ///
    /// - Parameters:
    ///   - records: encoded records (Record.swift), used only during the call.
    ///   - count: how many they are.
    ///   - time: milliseconds since 1970.
    ///   - isTick: whether `time` is from the cheap clock (``TimeSource/wallMilliseconds()``), so that an
    ///     exact time may be taken instead.
    @inline(__always)
    @unsafe package func append(
        _ records: UnsafeRawBufferPointer, count: UInt32, flags: LogFlags, time: UInt64,
        isTick: Bool = false
    ) throws(LogError) -> Staging.Outcome {
        guard let staging else { throw refusal ?? .closed }
        return try unsafe staging.append(
            records, count: count, flags: flags, time: time, isTick: isTick)
    }

    /// Waits until there may be room again after ``Staging/Outcome/full(ticket:)``. Hold no lock.
    package func waitForRoom(_ ticket: UInt64, nanoseconds: UInt64? = nil) {
        staging?.space.wait(after: ticket, nanoseconds: nanoseconds)
    }

    /// A reader whose first block holds `sequence`.
    package func reader(from sequence: UInt64) throws(LogError) -> LogReader {
        try LogReader(environment, from: sequence)
    }

    /// Refuses further appends, writes and syncs everything, seals the last segment, records where the log ended,
    /// and removes staging. After an error that may pass, call it again.
    package func close() throws(LogError) {
        guard let staging, let flusher else { return }
        guard !staging.isForked else { throw .forked }
        if let refusal = staging.refusal, refusal.isFinal { throw refusal }
        staging.refuse(.closed)
        let end = try flusher.close()
        try end.write(environment)
        try onDisk { () throws(SystemError) in
            let staging = environment.layout.staging
            if try environment.disk.exists(staging) { try environment.disk.remove(staging) }
            try environment.disk.synchronizeDirectory(environment.layout.root)
        }
    }

    /// Refuses further appends and leaves the rest to the next open, as after `kill -9`.
    package func abandon() {
        staging?.refuse(.closed)
    }

    /// The records of the commit that starts with `sequence`; nil if none does.
    package func commit(at sequence: UInt64) throws(LogError) -> [UInt8]? {
        let reader = try self.reader(from: sequence)
        guard try reader.next(through: readable) else { return nil }
        var commits = try reader.commits()
        while let commit = try? commits.next(reader.payload.span) {
            if commit.firstSequence == sequence { return Array(reader.payload[commit.records]) }
        }
        return nil
    }

    /// The chain value after `sequence`, from the blocks; nil if no commit ends there. Of a whole log, that holds as well
    /// for a sequence that it has not reached: nothing of it is missing then.
    package func chain(at sequence: UInt64) throws(LogError) -> UInt64? {
        guard sequence <= readable || recovery.corruption != nil else { return nil }
        return try LogReader.chain(at: sequence, environment)
    }

    // MARK: staging

    /// Repairs the log, and makes new staging.
    private static func begin(
        after repair: inout Repair, _ end: LogEnd, _ environment: LogEnvironment,
        _ options: LogOptions
    ) throws(LogError) -> (StagingMemory, StagingHeader) {
        let needed =
            try repair.roomNeeded() + StagingHeader.byteCount
            + options.slotCount * options.slotSize
        do throws(LogError) {
            try repair.run()
            let made = try freshStaging(environment, options: options, epoch: end.nextEpoch)
            try LogEdge.remove(.cleanEnd, environment)
            return made
        } catch {
            guard case .diskFull(let cause) = error else { throw error }
            throw .noRoom(cause, needed: needed)
        }
    }

    /// Replaces the staging file by a new one: under a temporary name, with a new salt, with zeros written so that no
    /// page of it is a hole, synced, renamed, the directory synced. Only then may sequences be assigned.
    private static func freshStaging(
        _ environment: LogEnvironment, options: LogOptions, epoch: UInt64
    ) throws(LogError) -> (StagingMemory, StagingHeader) {
        let (disk, layout) = (environment.disk, environment.layout)
        let isMapped = disk.supportsSharedMapping(layout.root)
        let header = StagingHeader(
            storeID: environment.storeID, salt: environment.random(), slotSize: options.slotSize,
            slotCount: options.slotCount, epoch: epoch)
        var marker = header
        marker.slotCount = 0
        let temporary = StoreLayout.temporary(layout.staging)
        return try onDisk { () throws(SystemError) in
            let file = try disk.open(temporary, .createExclusively)
            do throws(SystemError) {
                try file.write((isMapped ? header : marker).encoded().span, at: 0)
                if isMapped {
                    let start = StagingHeader.byteCount
                    try file.write(zeros: header.byteCount - start, at: start)
                }
                try file.synchronize()
            } catch {
                // If there is little room, the file of a failed try would take it from the next try.
                try? disk.remove(temporary)
                throw error
            }
            try disk.rename(temporary, to: layout.staging)
            try disk.synchronizeDirectory(layout.root)
            guard isMapped else {
                let memory = try StagingMemory(
                    byteCount: header.byteCount, marker: file, path: layout.staging)
                return (memory, header)
            }
            let mapping = try disk.map(layout.staging, byteCount: header.byteCount, writable: true)
            return (StagingMemory(mapping: mapping), header)
        }
    }
}
