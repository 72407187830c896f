import EventLog

// Each stream has one consumer at a time: opening a stream, acknowledging, giving it back.

extension ChangeStreams {
    /// Opens a stream for one consumer, and makes it if there is none of this name. Waits for the disk.
    ///
    /// - Parameters:
    ///   - table: 0 for all tables.
    ///   - start: where a new stream begins: nothing through this sequence is delivered. It must be readable. nil begins
    ///     with the oldest commit that the log holds.
    /// - Returns: the claim that the consumer passes with each call, and the position where it goes on.
    package func open(
        _ name: String, table: UInt32, after start: UInt64?
    ) throws(StoreError) -> (claim: UInt64, position: LogPosition) {
        try opening.withLock { _ throws(StoreError) in
            try checkIsUsable(name)
            guard !name.isEmpty, name.utf8.count <= StreamPositions.nameLimit else {
                throw .changeStream(name: name, .badName(limit: StreamPositions.nameLimit))
            }
            let claim: UInt64
            let position: LogPosition
            if let taken = try take(name, table) {
                (claim, position) = taken
            } else {
                (claim, position) = try make(name, table, after: start)
            }
            do throws(StoreError) {
                try check(position, of: name)
            } catch {
                release(name, claim)
                note("\(error)", of: name)
                throw error
            }
            note(nil, of: name)
            return (claim, position)
        }
    }

    /// A damaged log is not read any further, and no file beside it may be changed.
    private func checkIsUsable(_ name: String) throws(StoreError) {
        if let corruption = log.recovery.corruption { throw .damaged("\(corruption)") }
        if let fault { throw .changeStream(name: name, .unusable(fault)) }
    }

    private func take(
        _ name: String, _ table: UInt32
    ) throws(StoreError) -> (UInt64, LogPosition)? {
        try state.withLock { (state) throws(StoreError) in
            guard let stream = state.streams[name], !stream.isRemoved else { return nil }
            guard stream.table == table else {
                throw .changeStream(name: name, .ofAnotherTable)
            }
            guard !stream.isConsumed else { throw .changeStream(name: name, .inUse) }
            state.claimCount += 1
            state.streams[name]?.claim = state.claimCount
            state.streams[name]?.isConsumed = true
            return (state.claimCount, stream.position)
        }
    }

    /// Makes a stream. It is in the file before anything is delivered, so the log is kept for it from then on.
    private func make(
        _ name: String, _ table: UInt32, after start: UInt64?
    ) throws(StoreError) -> (UInt64, LogPosition) {
        let position = try self.position(after: start, of: name)
        let claim = try state.withLock { (state) throws(StoreError) in
            guard state.streams.count < StreamPositions.countLimit else {
                throw .changeStream(name: name, .tooMany(limit: StreamPositions.countLimit))
            }
            state.claimCount += 1
            state.version += 1
            var stream = Stream(table: table, position: position, written: position)
            stream.claim = state.claimCount
            stream.isConsumed = true
            stream.advance(to: position, readable: log.readable)
            state.streams[name] = stream
            return state.claimCount
        }
        do throws(StoreError) {
            try write()
        } catch {
            state.withLock { state in
                state.version += 1
                state.streams[name]?.isRemoved = true
            }
            throw error
        }
        return (claim, position)
    }

    private func position(
        after start: UInt64?, of name: String
    ) throws(StoreError) -> LogPosition {
        do throws(LogError) {
            let oldest = try LogReader.segmentBases(log.environment).first ?? 1
            let sequence = start ?? (oldest - 1)
            guard let chain = try log.chain(at: sequence) else {
                throw .deleted(sequence: sequence + 1, oldest: nil)
            }
            // How far it is behind is counted from now on.
            let now = log.environment.time.wallMilliseconds()
            return LogPosition(sequence: sequence, chain: chain, time: now)
        } catch {
            throw StoreError(error, ofStream: name, at: start ?? 0)
        }
    }

    /// A position must lie in the log's own history. This cannot be checked if the log there was deleted.
    private func check(_ position: LogPosition, of name: String) throws(StoreError) {
        let other = StoreError.changeStream(
            name: name, .ofAnotherHistory(sequence: position.sequence))
        guard position.sequence <= log.readable else { throw other }
        let chain: UInt64?
        do throws(LogError) {
            chain = try log.chain(at: position.sequence)
        } catch {
            throw StoreError(error, ofStream: name, at: position.sequence)
        }
        guard chain == position.chain else { throw other }
    }

    /// Gives the stream back; another consumer may have it.
    func release(_ name: String, _ claim: UInt64) {
        state.withLock { state in
            if state.streams[name]?.claim == claim { state.streams[name]?.isConsumed = false }
        }
    }

    /// Notes why its consumer could not go on; nil if it can.
    func note(_ cause: String?, of name: String) {
        state.withLock { $0.streams[name]?.failure = cause }
    }

    // MARK: going on

    /// The consumer is done with everything through a position. Only ``write()`` makes that survive a crash.
    ///
    /// A position never goes back: acknowledging a commit acknowledges all before it.
    package func acknowledge(
        _ position: LogPosition, of name: String, _ claim: UInt64
    ) throws(StoreError) {
        let readable = log.readable
        try state.withLock { (state) throws(StoreError) in
            guard let stream = state.streams[name], !stream.isRemoved else {
                throw .changeStream(name: name, .removed)
            }
            guard stream.claim == claim else {
                throw .changeStream(name: name, .takenOver)
            }
            guard position.sequence > stream.position.sequence else { return }
            state.version += 1
            state.streams[name]?.advance(to: position, readable: readable)
        }
    }

    /// Moves a stream over commits that hold nothing for it, if its consumer has acknowledged everything before
    /// them. The move is written to the file with the next acknowledgement, before log is deleted, or when the store closes.
    ///
    /// - Parameter delivered: the end of the last commit that was delivered.
    func pass(
        through position: LogPosition, after delivered: UInt64, of name: String, _ claim: UInt64
    ) throws(StoreError) {
        let readable = log.readable
        try state.withLock { (state) throws(StoreError) in
            guard let stream = state.streams[name], !stream.isRemoved else {
                throw .changeStream(name: name, .removed)
            }
            guard stream.claim == claim, stream.position.sequence >= delivered,
                stream.position.sequence < position.sequence
            else { return }
            state.version += 1
            state.streams[name]?.advance(to: position, readable: readable)
        }
    }

    /// Removes a stream. Waits for the disk.
    ///
    /// - Returns: whether there was one.
    package func remove(_ name: String) throws(StoreError) -> Bool {
        try checkIsUsable(name)
        let isThere = state.withLock { state in
            guard state.streams[name] != nil else { return false }
            state.version += 1
            state.streams[name]?.isRemoved = true
            return true
        }
        if isThere { try write() }
        return isThere
    }
}

extension StoreError {
    /// Why the log behind a stream's position cannot be read.
    init(_ error: LogError, ofStream name: String, at sequence: UInt64) {
        if case .deleted(_, let oldest) = error {
            let last = max(sequence + 1, (oldest ?? sequence + 2) - 1)
            self = .changeStream(name: name, .gone(first: sequence + 1, last: last))
        } else {
            self.init(error)
        }
    }
}
