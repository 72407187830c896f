import EventLog

/// The change streams of a store: how far the consumer of each has acknowledged, and which consumer has it.
///
/// A position is the end of a commit that is durable in segments, because nothing else is delivered. So no crash takes back
/// a commit that a consumer has seen. Opening a stream compares the chain value of its position with the log's, so a
/// position never leads into another history, such as an older copy of the store, or one that recovery has cut off.
///
/// The log is kept from the lowest position in the file on, up to a limit for each stream. A position that is only in
/// memory does not count for that.
package final class ChangeStreams: LogFollower {
    struct Stream {
        /// 0 for all tables.
        var table: UInt32
        var position: LogPosition
        /// The position in the file. The stream goes on there when the store is opened again.
        var written: LogPosition
        /// The number of the consumer that uses the stream, or used it last. It is different for every consumer of every
        /// stream.
        var claim: UInt64 = 0
        var isConsumed = false
        /// When the oldest commit behind ``position`` was written, or later; milliseconds since 1970.
        var behindSince: UInt64?
        /// Why its last consumer could not go on.
        var failure: String?
        /// Why the log is no longer kept for it.
        var threat: String?
        /// Whether it leaves the file when the file is written next.
        var isRemoved = false
    }

    struct State {
        var streams: [String: Stream] = [:]
        var claimCount: UInt64 = 0
        /// How often something changed that belongs into the file.
        var version: UInt64 = 0
        /// Why the file cannot be used. If so, nothing is written, and the whole log is kept.
        var fault: String?
    }

    let log: Log
    /// How many bytes of log one stream may hold.
    let limit: Int
    let state: Lock<State>
    /// The ``State/version`` that the file has. Held while the file is written.
    private let writing = Lock<UInt64>(0)
    /// Held while a stream is opened, so that two consumers do not make the same one.
    let opening = Lock<Void>(())

    /// - Throws: an error of the disk. A damaged file throws nothing; ``fault`` describes it.
    init(_ log: Log, limit: Int) throws(LogError) {
        self.log = log
        self.limit = limit
        var state = State()
        switch try StreamPositions.read(log.environment) {
        case .absent: break
        case .positions(let file):
            for stream in file.streams {
                let position = LogPosition(
                    sequence: stream.sequence, chain: stream.chain, time: stream.time)
                state.streams[stream.name] = Stream(
                    table: stream.table, position: position, written: position,
                    behindSince: position.sequence < log.readable ? stream.time : nil)
            }
        case .unusable(let fault):
            state.fault =
                "\(log.environment.layout.changeStreams) cannot be used: \(fault)"
                + (fault.isNewer
                    ? "" : "; move it away while the store is closed, and all streams start again")
        }
        self.state = Lock(state)
    }

    /// Why no stream can be used; nil if all is well.
    package var fault: String? { state.withLock(\.fault) }

    package func position(of name: String) -> LogPosition? {
        state.withLock { $0.streams[name].flatMap { $0.isRemoved ? nil : $0.position } }
    }

    /// All streams, by their names.
    package func list(_ tables: Catalog) -> [Health.ChangeStream] {
        let (staged, now) = (log.lastSequence, log.environment.time.wallMilliseconds())
        return state.withLock { $0.streams }.filter { !$0.value.isRemoved }
            .sorted { $0.key < $1.key }
            .map { name, stream in
                Health.ChangeStream(
                    name: name, table: tables[stream.table]?.schema.name,
                    acknowledged: stream.position.sequence, staged: staged,
                    seconds: stream.behindSince.map { Double(now - min(now, $0)) / 1000 } ?? 0,
                    isConsumed: stream.isConsumed, cause: stream.failure ?? stream.threat)
            }
    }

    // MARK: the file

    /// Writes the file if something has changed. All callers that come while it is being written share the next writing.
    package func write() throws(StoreError) {
        let wanted = state.withLock(\.version)
        try writing.withLock { (written) throws(StoreError) in
            guard written < wanted else { return }
            let (version, streams) = state.withLock {
                ($0.version, $0.streams.filter { !$0.value.isRemoved })
            }
            let file = StreamPositions(
                storeID: log.environment.storeID,
                streams: streams.map { name, stream in
                    StreamPositions.Stream(
                        name: name, table: stream.table, sequence: stream.position.sequence,
                        chain: stream.position.chain, time: stream.position.time)
                })
            do throws(LogError) {
                try file.write(log.environment)
            } catch {
                throw StoreError(error)
            }
            written = version
            state.withLock { state in
                for (name, stream) in streams where state.streams[name]?.claim == stream.claim {
                    state.streams[name]?.written = stream.position
                }
                state.streams = state.streams.filter { name, stream in
                    !stream.isRemoved || streams[name] != nil
                }
            }
        }
    }

    /// Writes how far streams have moved by themselves. If that fails (the disk is full), the positions that were written
    /// before remain valid: the streams read a part of the log again.
    func writeIfPossible() { try? write() }

    // MARK: the log's follower

    package func released(checkpoint: Bool) throws -> UInt64 {
        if checkpoint { writeIfPossible() }
        let bases = try LogReader.segmentBases(log.environment)
        let oldest = bases.first ?? 1
        var positions = state.withLock { state in
            state.streams.map { name, stream in
                // A position that is only in memory does not survive a crash.
                let position = checkpoint ? stream.written : stream.position
                return (name: name, sequence: position.sequence)
            }
        }
        // The positions of the streams are unknown. One may be at the oldest commit.
        if fault != nil { positions.append((name: "", sequence: oldest - 1)) }
        var released = UInt64.max
        for (name, sequence) in positions.sorted(by: { $0.sequence < $1.sequence }) {
            // Log that is kept for a lower position is kept for this one as well.
            let threat = try released == .max ? whyNotKept(sequence, oldest) : nil
            if threat == nil { released = min(released, sequence) }
            state.withLock { $0.streams[name]?.threat = threat }
        }
        return released
    }

    /// Why the log behind a position is not kept; nil if it is.
    private func whyNotKept(_ sequence: UInt64, _ oldest: UInt64) throws -> String? {
        if sequence + 1 < oldest {
            return "\(ChangeStreamProblem.gone(first: sequence + 1, last: oldest - 1))"
        }
        let bytes = try SegmentList.byteCount(after: sequence, log.environment)
        guard bytes > limit else { return nil }
        return
            "it has not acknowledged \(bytes) bytes of log, more than it may hold (changeStreamLimit), so these "
            + "may be deleted"
    }

    package func logDidGrow() {
        let readable = log.readable
        let now = log.environment.time.wallMilliseconds()
        state.withLock { state in
            for name in state.streams.keys {
                state.streams[name]?.noteGrowth(readable, now)
            }
        }
    }
}

extension ChangeStreams.Stream {
    fileprivate mutating func noteGrowth(_ readable: UInt64, _ now: UInt64) {
        if behindSince == nil, position.sequence < readable { behindSince = now }
    }

    /// Everything through `position` is done with.
    mutating func advance(to position: LogPosition, readable: UInt64) {
        self.position = position
        (failure, threat) = (nil, nil)
        // The commits behind it are not older than this.
        behindSince =
            position.sequence < readable ? max(behindSince ?? position.time, position.time) : nil
    }
}
