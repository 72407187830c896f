package import EventLog

/// A change as the log holds it.
package struct LoggedChange: Sendable {
    package var operation: EventLog.Operation
    package var table: UInt32
    package var sequence: UInt64
    /// The time of its commit, milliseconds since 1970.
    package var time: UInt64
    /// The key, the record's body, and the row before it if the record carries that.
    package var bytes: [UInt8]
    /// The places of these parts in ``bytes``.
    package var key, body: Range<Int>
    package var before: Range<Int>?
    /// Whether it is the last change of its commit for this stream.
    package var isLastOfCommit: Bool
    /// The last commit of which all has been delivered with this change.
    package var position: LogPosition
    /// The number with which its consumer acknowledges it.
    package var claim: UInt64
}

extension LoggedChange {
    fileprivate init(
        _ record: Record, in payload: Span<UInt8>, sequence: UInt64, time: UInt64,
        isLastOfCommit: Bool, position: LogPosition, claim: UInt64
    ) {
        (operation, table) = (record.operation, record.table)
        (self.sequence, self.time) = (sequence, time)
        (self.isLastOfCommit, self.position, self.claim) = (isLastOfCommit, position, claim)
        let start = record.key.lowerBound
        func place(_ range: Range<Int>) -> Range<Int> {
            range.lowerBound - start..<range.upperBound - start
        }
        (key, body) = (place(record.key), place(record.body))
        before = record.before.isEmpty ? nil : place(record.before)
        bytes = Array(copying: payload.extracting(start..<start + (before ?? body).upperBound))
    }
}

/// Reads the changes behind a stream's position, in order, for one consumer.
///
/// The caller steps it: ``take()`` returns a change that was read, ``fill()`` reads one more block and waits for the disk.
/// Only one block is read ahead of the consumer, which bounds memory.
package final class ChangeSource: Sendable {
    private struct State {
        var claim: UInt64?
        var reader: LogReader?
        var commits: CommitCursor?
        /// The chain value so far, within the block that is being read.
        var chain = Chain(0)
        /// The changes of the commit that is being delivered, and how many of them were delivered.
        var changes: [(record: Record, sequence: UInt64)] = []
        var next = 0
        /// The positions before the commit that is being delivered, and behind it.
        var before: LogPosition
        var position: LogPosition
        /// The end of the last commit with a change that was delivered.
        var delivered: UInt64 = 0
        /// The stream was given back.
        var isEnded = false
    }

    private let streams: ChangeStreams
    private let name: String
    /// 0 for all tables.
    private let table: UInt32
    private let start: UInt64?
    private let state: Lock<State>

    /// - Parameters:
    ///   - table: 0 for all tables.
    ///   - start: as of ``ChangeStreams/open(_:table:after:)``.
    package init(
        _ streams: ChangeStreams, named name: String, table: UInt32, after start: UInt64?
    ) {
        self.streams = streams
        self.name = name
        self.table = table
        self.start = start
        let nowhere = LogPosition(sequence: 0, chain: 0, time: 0)
        state = Lock(State(before: nowhere, position: nowhere))
    }

    deinit { end() }

    /// Gives the stream back, for good: ``fill()`` throws from now on. What was delivered can still be acknowledged, until
    /// another consumer has the stream.
    package func end() {
        let claim = state.withLock { state in
            state.isEnded = true
            // A change that is kept must not keep a file open.
            (state.reader, state.commits) = (nil, nil)
            return state.claim.take()
        }
        if let claim { streams.release(name, claim) }
    }

    /// The sequence that must be readable before there is more; nil if the stream is not open yet.
    package var wanted: UInt64? {
        state.withLock { state in
            state.claim.map { _ in state.reader?.nextSequence ?? state.position.sequence + 1 }
        }
    }

    /// Everything through here has been delivered, or holds nothing for the stream.
    package var position: LogPosition { state.withLock { $0.position } }

    /// The next change that was read; nil if more must be read.
    package func take() throws(StoreError) -> LoggedChange? {
        try state.withLock { (state) throws(StoreError) in
            guard let payload = state.reader?.payload, state.commits != nil,
                let claim = state.claim
            else { return nil }
            while state.next == state.changes.count {
                guard try advance(&state, payload.span) else { return nil }
            }
            let (record, sequence) = state.changes[state.next]
            state.next += 1
            let isLast = state.next == state.changes.count
            if isLast { state.delivered = state.position.sequence }
            return LoggedChange(
                record, in: payload.span, sequence: sequence, time: state.position.time,
                isLastOfCommit: isLast, position: isLast ? state.position : state.before,
                claim: claim)
        }
    }

    /// Goes to the block's next commit; false behind the last.
    private func advance(_ state: inout State, _ payload: Span<UInt8>) throws(StoreError) -> Bool {
        do throws(MalformedRecord) {
            guard let commit = try state.commits?.next(payload) else {
                state.commits = nil
                return false
            }
            state.chain.append(time: commit.time, records: payload.extracting(commit.records))
            // A block may begin before the position.
            guard commit.firstSequence > state.position.sequence else { return true }
            state.before = state.position
            state.position = LogPosition(
                sequence: commit.lastSequence, chain: state.chain.value, time: commit.time)
            state.changes.removeAll(keepingCapacity: true)
            state.next = 0
            var reader = ByteReader(commit.records)
            var sequence = commit.firstSequence
            while !reader.isAtEnd {
                let record = try reader.record(payload)
                if isWanted(record) { state.changes.append((record, sequence)) }
                sequence += 1
            }
            return true
        } catch {
            throw .damaged("a record behind sequence \(state.before.sequence): \(error.reason)")
        }
    }

    private func isWanted(_ record: Record) -> Bool {
        switch record.operation {
        case .put, .patch, .add, .delete, .clear: table == 0 || record.table == table
        case .define, .mark, .settle, .preamble: false
        }
    }

    /// Opens the stream, or reads the next block that may hold something for it. Does nothing while the block that was read
    /// last has changes left. Waits for the disk.
    package func fill() throws(StoreError) {
        try state.withLock { (state) throws(StoreError) in
            if state.isEnded { throw .cancelled }
            // Another call has read it meanwhile.
            if state.commits != nil { return }
            guard let claim = state.claim else {
                let (claim, position) = try streams.open(name, table: table, after: start)
                (state.claim, state.delivered) = (claim, position.sequence)
                (state.before, state.position) = (position, position)
                return
            }
            do throws(LogError) {
                try read(&state)
            } catch {
                state.reader = nil
                let failure = StoreError(error, ofStream: name, at: state.position.sequence)
                streams.note("\(failure)", of: name)
                throw failure
            }
            try streams.pass(
                through: state.position, after: state.delivered, of: name, claim)
        }
    }

    private func read(_ state: inout State) throws(LogError) {
        let log = streams.log
        let reader: LogReader
        if let known = state.reader {
            reader = known
        } else {
            reader = try log.reader(from: state.position.sequence + 1)
            state.reader = reader
        }
        var passed: BlockHeader?
        let hasMore = try reader.next(through: log.readable) { block in
            guard table == 0 || block.tables.isEmpty || block.tables.contains(table) else {
                passed = block
                return false
            }
            return true
        }
        if let passed, passed.nextSequence - 1 > state.position.sequence {
            state.position = LogPosition(
                sequence: passed.nextSequence - 1, chain: passed.chain, time: passed.time / 1000)
            state.before = state.position
        }
        guard hasMore else { return }
        state.chain = Chain(reader.chainBefore)
        state.commits = try reader.commits()
    }
}
