import Synchronization

/// The write buffer: slots with commits. They survive a killed process, and recovery reads them.
///
/// Writers copy a commit into a slot under one short lock. The flusher reads commits without the lock, because the
/// bytes below a slot's end never change while the slot is in use. Slots are used in turn. A slot is
/// used again only when segments with all of its commits have been synced, so staging always holds
/// everything that the segments may still lose.
///
/// Order of locks: a shard of the cache view, then this one; never the other way round.
package final class Staging: Sendable {
    private struct Slot {
        var generation: UInt64 = 0
        var end = SlotHeader.byteCount
        var lastSequence: UInt64 = 0
        /// Whether room on the disk was reserved for its pages since they were stored to last.
        var isReserved: Bool
    }

    private struct State {
        /// The slot in use is `generation % slots.count`.
        var generation: UInt64
        var slots: [Slot]
        var nextSequence: UInt64
        var lastTime: UInt64
        var clock = CommitClock()
        /// Bytes of commits that the flusher has not taken yet.
        var pending = 0
        var refusal: LogError?
    }

    /// The outcome of an append.
    package enum Outcome: Equatable {
        case appended(firstSequence: UInt64)
        /// There was no room. Release all locks, wait until ``space`` has moved past the ticket, and try again.
        case full(ticket: UInt64)
    }

    private let state: Lock<State>
    private let memory: StagingMemory
    private let readableSequence: Atomic<UInt64>
    private let durableSequence: Atomic<UInt64>
    private let isRefusing = Atomic<Bool>(false)
    /// Whether a writer has found no room since the flusher last checked.
    private let isFull = Atomic<Bool>(false)
    private let forks: UInt64
    private let header: StagingHeader
    private let time: any TimeSource
    /// Whether a copy of the file can share its blocks, so that storing to it may need room that it had before.
    let mayShareBlocks: Bool
    /// Raised when a slot becomes free, and when waiting has become useless.
    package let space = Signal()
    /// Raised when the flusher has something to do.
    package let work = Signal()
    /// The flusher is woken when this many bytes are pending.
    private let wakeThreshold: Int
    /// The longest records of one commit.
    package let commitLimit: Int

    init(
        _ memory: StagingMemory, header: StagingHeader, nextSequence: UInt64, lastTime: UInt64,
        wakeThreshold: Int, commitLimit: Int, time: any TimeSource
    ) {
        self.time = time
        self.memory = memory
        self.header = header
        self.wakeThreshold = wakeThreshold
        let room = header.commitsEnd - SlotHeader.byteCount - StagedCommit.headerByteCount - 8
        self.commitLimit = min(commitLimit, room, StagedCommit.recordsLimit)
        readableSequence = Atomic(nextSequence - 1)
        durableSequence = Atomic(nextSequence - 1)
        forks = ForkGuard.current()
        mayShareBlocks = memory.mayShareBlocks
        // A slot before the first one. It counts as full and synced, so that the first append opens a slot.
        // A file that was just written shares no blocks with a copy.
        let free = Slot(isReserved: true)
        var before = free
        before.end = header.commitsEnd
        state = Lock(
            State(
                generation: 0,
                slots: [before] + Array(repeating: free, count: header.slotCount - 1),
                nextSequence: nextSequence, lastTime: lastTime))
    }

    /// Everything through this sequence is in segments, synced.
    package var readable: UInt64 { readableSequence.load(ordering: .acquiring) }

    /// Everything through this sequence survives power loss, in segments or here.
    var durable: UInt64 { durableSequence.load(ordering: .acquiring) }

    /// Whether this process is a child that shares the buffer with the one that opened it.
    var isForked: Bool { !ForkGuard.isSame(forks) }

    /// The sequence that the next record gets.
    ///
    /// A child of `fork()` must not wait for a lock that a thread of its parent held at that moment. It gets the sequence
    /// that was readable then.
    package var nextSequence: UInt64 {
        isForked ? readable + 1 : state.withLock { $0.nextSequence }
    }

    /// The time of the last commit, milliseconds since 1970.
    var lastTime: UInt64 { state.withLock { $0.lastTime } }

    /// How many bytes of commits there is room for.
    package var capacity: Int { (header.commitsEnd - SlotHeader.byteCount) * header.slotCount }

    package var pendingBytes: Int { state.withLock { $0.pending } }

    /// Appends one commit. Once this returns, the commit survives the death of the process
    /// (where the buffer is a file: ``Log/survivesProcessDeath``).
    ///
    /// - Parameters:
    ///   - records: the encoded records; valid for the time of the call.
    ///   - time: milliseconds since 1970. If it is before the last commit's time, that one is used.
    ///   - isTick: whether `time` is from a clock that moves in ticks. Then an exact time is read if that is not too
    ///     expensive.
    @inline(__always)
    @unsafe func append(
        _ records: UnsafeRawBufferPointer, count: UInt32, flags: LogFlags, time: UInt64,
        isTick: Bool
    ) throws(LogError) -> Outcome {
        guard ForkGuard.isSame(forks) else { throw .forked }
        // A commit of length 0 would look like none, and would hide those behind it.
        let length = records.count
        precondition(length > 0 && count > 0, "a commit holds at least one record")
        guard length <= commitLimit, count < 1 << 24 else {
            throw .commitTooLarge(byteCount: length, limit: commitLimit)
        }
        let size = StagedCommit.byteCount(records: length)
        var wakes = false
        let outcome = try state.withLock { (state) throws(LogError) -> Outcome in
            if isRefusing.load(ordering: .relaxed), let refusal = state.refusal { throw refusal }
            var index = Int(state.generation % UInt64(state.slots.count))
            if state.slots[index].end + size > header.commitsEnd {
                // Read before checking for room: if room is made after this, the count moves past the ticket.
                let ticket = space.current
                guard openSlot(&state) else {
                    isFull.store(true, ordering: .relaxed)
                    wakes = true
                    return .full(ticket: ticket)
                }
                index = Int(state.generation % UInt64(state.slots.count))
            }
            let first = state.nextSequence
            let offset = state.slots[index].end
            let durable = durableSequence.load(ordering: .relaxed)
            let isExact = isTick && state.clock.isExact(at: time)
            let time = isExact ? self.time.wallMillisecondsNow() : time
            if time > state.lastTime { state.lastTime = time }
            unsafe StagedCommit.write(
                to: memory.slot(index, header) + offset, records: records, count: count,
                flags: flags, firstSequence: first,
                unsyncedBefore: UInt32(clamping: first - 1 - durable), time: state.lastTime,
                salt: header.salt, generation: state.generation)
            state.nextSequence = first + UInt64(count)
            state.slots[index].end = offset + size
            state.slots[index].lastSequence = first + UInt64(count) - 1
            let before = state.pending
            state.pending = before + size
            wakes = before == 0 || (before < wakeThreshold && before + size >= wakeThreshold)
            return .appended(firstSequence: first)
        }
        if wakes { work.raise() }
        return outcome
    }

    /// Whether a writer has found no room since this was last asked.
    func takeFull() -> Bool { isFull.exchange(false, ordering: .relaxed) }

    /// Moves to the next slot; false as long as it still holds commits that segments may lose, or its room is not reserved.
    private func openSlot(_ state: inout State) -> Bool {
        let generation = state.generation + 1
        let index = Int(generation % UInt64(state.slots.count))
        guard state.slots[index].isReserved,
            state.slots[index].lastSequence <= readableSequence.load(ordering: .relaxed)
        else { return false }
        let slot = SlotHeader(firstSequence: state.nextSequence, generation: generation)
        memory.write(slot, slot: index, header)
        state.generation = generation
        state.slots[index] = Slot(generation: generation, isReserved: !mayShareBlocks)
        return true
    }

    /// Reserves room on the disk for everything that may be stored to, because a copy of the file that was made meanwhile
    /// may share its blocks: the header page, and the slots in the order of their use.
    func reserveAgain() throws(SystemError) {
        try memory.reserve(0..<StagingHeader.pageByteCount)
        let (generation, count) = (state.withLock { $0.generation }, UInt64(header.slotCount))
        for slot in generation..<generation + count {
            try memory.reserve(header.slotRange(Int(slot % count)))
        }
    }

    /// Reserves room on the disk for the slots that are free again, before any of them is used.
    func reserveFreeSlots() throws(SystemError) {
        guard mayShareBlocks else { return }
        let readable = self.readable
        let free = state.withLock { state in
            let current = Int(state.generation % UInt64(state.slots.count))
            return state.slots.indices.filter { index in
                index != current && !state.slots[index].isReserved
                    && state.slots[index].lastSequence <= readable
            }
        }
        for index in free {
            try memory.reserve(header.slotRange(index))
            state.withLock { $0.slots[index].isReserved = true }
        }
        if !free.isEmpty { space.raise() }
    }

    /// Publishes that segments hold everything through `sequence`, synced; frees slots.
    func publish(readable sequence: UInt64) {
        durableSequence.max(sequence, ordering: .releasing)
        readableSequence.store(sequence, ordering: .releasing)
        memory.publish(PublishedProgress(readable: sequence, durable: durable), salt: header.salt)
        // If this fails, the flusher's next step gets the error again, and reports it.
        try? reserveFreeSlots()
        space.raise()
    }

    /// Publishes that everything through `sequence` survives power loss, though segments do not hold it yet.
    func publish(durable sequence: UInt64) {
        durableSequence.max(sequence, ordering: .releasing)
        memory.publish(PublishedProgress(readable: readable, durable: durable), salt: header.salt)
    }

    /// Makes appends throw this error; nil admits them again. Wakes callers that wait for room. A final error stays. A closed
    /// log stays closed, unless the new error is final.
    func refuse(_ error: LogError?) {
        guard !isForked else { return }
        state.withLock {
            switch $0.refusal {
            case let refusal? where refusal.isFinal: return
            case .closed? where error?.isFinal != true: return
            default: break
            }
            $0.refusal = error
            isRefusing.store(error != nil, ordering: .relaxed)
        }
        space.raise()
    }

    /// Why appends throw at present.
    package var refusal: LogError? { isForked ? .forked : state.withLock { $0.refusal } }

    // MARK: the flusher's side

    /// The flusher's place.
    struct Cursor {
        var generation: UInt64 = 0
        var offset = SlotHeader.byteCount
        /// The commits of the slot up to this offset are known to be complete.
        var knownEnd = 0
        var nextSequence: UInt64
    }

    /// The next commit; nil if all have been taken. Its bytes stay until their sequence is published
    /// as readable. It takes the lock once for a run of commits.
    ///
    /// The checksum is compared here, because a block gets a new one: a byte that was changed before that
    /// would look right from then on.
    func next(_ cursor: inout Cursor) throws(LogError) -> StagedCommit? {
        if cursor.offset >= cursor.knownEnd, !refresh(&cursor) { return nil }
        let index = Int(cursor.generation % UInt64(header.slotCount))
        let item = unsafe StagedCommit.read(
            memory.slotBytes(index, header), at: cursor.offset, base: cursor.nextSequence,
            salt: header.salt, generation: cursor.generation)
        guard case .commit(let commit) = item, commit.firstSequence == cursor.nextSequence else {
            throw .bufferChanged(sequence: cursor.nextSequence)
        }
        cursor.offset += commit.byteCount
        cursor.nextSequence = commit.nextSequence
        return commit
    }

    private func refresh(_ cursor: inout Cursor) -> Bool {
        state.withLock { state in
            while true {
                let slot = state.slots[Int(cursor.generation % UInt64(state.slots.count))]
                if slot.generation == cursor.generation, slot.end > cursor.offset,
                    cursor.generation > 0
                {
                    cursor.knownEnd = slot.end
                    return true
                }
                guard state.generation > cursor.generation else { return false }
                cursor.generation += 1
                cursor.offset = SlotHeader.byteCount
            }
        }
    }

    /// A place between two commits, up to which all of them survive power loss, here or in segments.
    struct SyncedPlace {
        fileprivate var generation: UInt64 = 0
        fileprivate var offset = 0
        /// Whether the slot's header survives as well. Without it, the commits of the slot cannot be read.
        fileprivate var hasSlotHeader = false

        /// Moves to the flusher's place. To be called when segments hold everything that the flusher has taken.
        mutating func advance(to cursor: Cursor) {
            guard (cursor.generation, cursor.offset) > (generation, offset) else { return }
            if cursor.generation > generation { hasSlotHeader = false }
            generation = cursor.generation
            offset = cursor.offset
        }
    }

    /// The pages that a sync of the buffer itself has to write so that everything appended so far survives.
    struct Unsynced {
        fileprivate(set) var byteCount = 0
        fileprivate(set) var lastSequence: UInt64
        fileprivate var ranges: [Range<Int>] = []
        fileprivate var end: SyncedPlace
    }

    /// nil if the buffer is plain memory.
    func unsynced(after place: SyncedPlace) -> Unsynced? {
        guard memory.survivesProcessDeath else { return nil }
        return state.withLock { state in
            var result = Unsynced(lastSequence: state.nextSequence - 1, end: place)
            // The earlier commits of slots that were used again are synced in segments.
            for slot in state.slots.sorted(by: { $0.generation < $1.generation })
            where slot.generation > 0 && slot.generation >= place.generation {
                result.add(slot.generation, end: slot.end, header)
            }
            return result
        }
    }

    /// Makes everything survive power loss that `unsynced` was computed for.
    func synchronize(_ unsynced: Unsynced, _ place: inout SyncedPlace) throws(SystemError) {
        for range in unsynced.ranges { try memory.synchronize(range) }
        place = unsynced.end
    }

    /// Counts commits of this many bytes as taken by the flusher.
    func didTake(_ byteCount: Int) {
        state.withLock { $0.pending -= byteCount }
    }
}

extension Staging.Unsynced {
    /// Adds the part of a slot that is behind the place reached so far.
    fileprivate mutating func add(_ generation: UInt64, end slotEnd: Int, _ header: StagingHeader) {
        if generation > end.generation {
            end = Staging.SyncedPlace(generation: generation, offset: SlotHeader.byteCount)
        }
        guard slotEnd > end.offset else { return }
        let start = header.slotRange(Int(generation % UInt64(header.slotCount))).lowerBound
        ranges.append(start + end.offset..<start + slotEnd)
        if !end.hasSlotHeader { ranges.append(start..<start + SlotHeader.byteCount) }
        byteCount += slotEnd - end.offset
        end.offset = slotEnd
        end.hasSlotHeader = true
    }
}
