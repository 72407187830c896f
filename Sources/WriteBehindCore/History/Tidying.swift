import EventLog

extension Snapshotter {
    /// Does one piece of tidying up. Returns whether there was anything to do.
    func tidy(_ state: inout State) throws -> Bool {
        let sequences = try SnapshotReader.sequences(log.environment)
        let kept = retention.kept(sequences, bad: state.bad)
        let surplus = retention.surplus(sequences, bad: state.bad)
        let segments = try SegmentList(log.environment)
        let expired = retention.expired(
            segments.segments, through: try reach(kept, checkpoint: false), now: now(&state))
        if !surplus.isEmpty || !expired.isEmpty {
            if let unread = kept.first(where: { !state.verified.contains($0) }) {
                try startReading(unread, &state)
                return true
            }
            if let oldest = surplus.first { return try delete(snapshot: oldest) }
            if state.mayDelete, try deleteSegments(segments.segments, kept, &state) {
                return true
            }
        }
        return try merge(segments, &state)
    }

    /// Milliseconds since 1970, as they count for the age of log.
    private func now(_ state: inout State) -> UInt64 {
        let time = log.environment.time
        return state.ageClock.now(
            wall: time.wallMilliseconds(), monotonic: time.monotonicNanoseconds() / 1_000_000)
    }

    /// The last sequence that neither snapshots nor followers need from the log.
    private func reach(_ kept: [UInt64], checkpoint: Bool) throws -> UInt64 {
        let reach = retention.reach(ofKept: kept)
        return reach == 0 ? 0 : min(reach, try needed(checkpoint))
    }

    // MARK: reading what is to be kept

    func startReading(_ sequence: UInt64, _ state: inout State) throws {
        do throws(SnapshotError) {
            state.check = try SnapshotReader(of: sequence, in: log.environment)
        } catch {
            if case .system(let cause) = error { throw cause }
            reject(sequence, &state)
            observer.didFail(error, attempts: 1)
        }
    }

    func go(on check: SnapshotReader, _ state: inout State) throws {
        for _ in 0..<4000 {
            let isRow = try snapshotErrors { () throws(SnapshotError) in try check.next() }
            if isRow { continue }
            try history.checkHistory(of: check.head)
            state.check = nil
            accept(check.head, &state)
            return
        }
    }

    // MARK: deleting

    private func delete(snapshot sequence: UInt64) throws -> Bool {
        let environment = log.environment
        let path = environment.layout.snapshot(sequence)
        let bytes = try environment.disk.open(path, .read).byteCount()
        try environment.disk.remove(path)
        try environment.disk.synchronizeDirectory(environment.layout.snapshots)
        observer.didDelete(path, byteCount: bytes, reason: "newer snapshots are kept")
        return true
    }

    /// Deletes the segments that may be deleted after a checkpoint. Returns whether it deleted any.
    private func deleteSegments(
        _ segments: [SegmentSummary], _ kept: [UInt64], _ state: inout State
    ) throws -> Bool {
        let reach = try reach(kept, checkpoint: true)
        let expired = retention.expired(segments, through: reach, now: now(&state))
        for segment in expired {
            do throws(LogError) {
                try SegmentList.delete(segment, log.environment)
            } catch {
                guard case .poisoned(let cause) = error else { throw error }
                state.mayDelete = false
                throw HistoryError.unsynced(cause)
            }
            observer.didDelete(
                segment.path, byteCount: segment.byteCount,
                reason: "snapshots and database reflect it through sequence \(reach)")
        }
        return !expired.isEmpty
    }

    // MARK: merging

    private func merge(_ list: SegmentList, _ state: inout State) throws -> Bool {
        guard state.mayMerge else { return false }
        let group = SegmentMerge.group(
            of: list, smallerThan: log.options.segmentSize / 8, limit: log.options.segmentSize,
            atLeast: limits.mergeCount)
        guard !group.isEmpty else { return false }
        do throws(LogError) {
            try SegmentMerge(log.environment, options: log.options).merge(group)
        } catch {
            state.mayMerge = false
            throw error
        }
        observer.didMerge(group.map(\.path))
        return true
    }
}
