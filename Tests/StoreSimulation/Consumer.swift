import EventLog
import TestSupport
import WriteBehindCore

/// A consumer of a change stream through all lives: changes that it has acknowledged do not come again, and nothing else is
/// missing.
struct Consumer {
    /// The table that it follows.
    static let table: UInt32 = 1

    /// The open stream; nil until the consumer continues in this life.
    var source: ChangeSource?
    /// Everything through here was acknowledged, and the acknowledgement returned.
    var acknowledged: UInt64 = 0
    /// The last sequence that it has ever seen.
    var seen: UInt64 = 0
    /// In this life, all commits through here have come.
    var position: UInt64 = 0
    /// The part of a commit that has come.
    var part: [StoreModel.Change] = []
    /// In a life in which the file of positions is damaged: its earlier bytes, and the log's first segment.
    var spoiled: (positions: [UInt8], firstSegment: UInt64)?

    /// The consumer's process ended together with the store's.
    mutating func reopen() {
        source = nil
        part = []
    }
}

extension SimulatedStore {
    /// Takes some changes, and acknowledges the last of them, or not.
    func consume(_ count: Int, acknowledges: Bool) throws {
        guard let store, store.damage == nil, consumer.spoiled == nil,
            store.engine.tables[Consumer.table] != nil
        else { return }
        let source =
            consumer.source
            ?? ChangeSource(
                store.changeStreams, named: "consumer", table: Consumer.table, after: nil)
        consumer.source = source
        do throws(StoreError) {
            let last = try take(count, from: source, store.engine.log)
            guard acknowledges, let last else { return }
            try store.changeStreams.acknowledge(last.position, of: "consumer", last.claim)
            try store.changeStreams.write()
            consumer.acknowledged = max(consumer.acknowledged, last.position.sequence)
            note("acknowledged through \(last.position.sequence)")
        } catch {
            source.end()
            consumer.reopen()
            if case .changeStream = error { fail("consumer", "\(error)") }
            throw error
        }
    }

    private func take(
        _ count: Int, from source: ChangeSource, _ log: Log
    ) throws(StoreError) -> LoggedChange? {
        var last: LoggedChange?
        var left = count
        while left > 0, fault == nil {
            if let change = try source.take() {
                check(change, log)
                last = change
                left -= 1
                continue
            }
            let wasOpen = source.wanted != nil
            // The stream would wait for more.
            if let wanted = source.wanted, wanted > log.readable { break }
            try source.fill()
            if !wasOpen { begin(at: source.position.sequence) }
        }
        return last
    }

    /// The stream was opened. Changes that it leaves out were acknowledged, or had come before the acknowledgement failed.
    private func begin(at position: UInt64) {
        note("the stream goes on behind \(position)")
        if position < consumer.acknowledged {
            fail("consumer", "it goes on behind \(position), \(consumer.acknowledged) is done")
        }
        if consumer.seen > 0 {
            let skipped = model.commits[..<model.count(through: position)].last {
                !changes(of: $0).isEmpty
            }
            if let skipped, skipped.receipt.sequence > consumer.seen {
                fail("consumer", "\(skipped.receipt) was never seen, the stream is at \(position)")
            }
        }
        consumer.position = position
    }

    private func changes(of commit: StoreModel.Commit) -> [StoreModel.Change] {
        commit.changes.filter { $0.key.table == Consumer.table }.map(\.completed)
    }

    private func check(_ change: LoggedChange, _ log: Log) {
        if change.sequence > log.readable { fail("consumer", "\(change.sequence) is not durable") }
        let key = change.bytes.span.extracting(change.key)
        let body = change.bytes.span.extracting(change.body)
        guard
            let part = try? StoreModel.Change.logged(change.operation, change.table, key, body)
        else { return fail("consumer", "\(change) cannot be read") }
        consumer.part += part.map(\.completed)
        checkWholeRow(change)
        guard change.isLastOfCommit else { return }
        let next = model.commits[model.count(through: consumer.position)...].first {
            !changes(of: $0).isEmpty
        }
        let found = consumer.part
        consumer.part = []
        guard let next, next.receipt.sequence == change.position.sequence,
            changes(of: next) == found
        else {
            return fail("consumer", "\(found) came as \(change.sequence), next is \(next as Any)")
        }
        consumer.position = next.receipt.sequence
        consumer.seen = max(consumer.seen, consumer.position)
    }

    /// The row before an update is that of the very change, however far the rows have gone on.
    private func checkWholeRow(_ change: LoggedChange) {
        guard let before = change.before else { return }
        let latest = Tables.latest(change.table)
        guard let row = try? Tables.row(change.table, change.bytes.span.extracting(change.key)),
            let found = try? RowCodec.decodeRow(change.bytes.span.extracting(before), latest)
        else { return fail("consumer", "the row before \(change) cannot be read") }
        let right = model.fold(through: change.sequence - 1)[row]
        if right.map({ Tables.completed($0, latest) }) != Tables.completed(found, latest) {
            fail(
                "consumer", "\(row) was \(found) before \(change.sequence), not \(right ?? [])")
        }
    }

    private static let positions = "/store/change-streams"

    private var firstSegment: UInt64? {
        disk.allFiles.filter { $0.hasPrefix("store/log/") }
            .compactMap { StoreLayout.sequence(ofFileNamed: String($0.dropFirst(10))) }.min()
    }

    /// In some lives, the file of positions is overwritten.
    func spoilPositions(_ end: End) {
        guard end.salt % 5 == 1, let bytes = disk.readAll(Self.positions), let first = firstSegment
        else { return }
        check { try disk.flip(Self.positions, at: bytes.count - 1) }
        consumer.spoiled = (bytes, first)
        note("the file of positions is spoiled")
    }

    /// Puts the file back. Until then, no log that a stream may need may have been deleted.
    func restorePositions() {
        guard let spoiled = consumer.spoiled else { return }
        if let first = firstSegment, first > spoiled.firstSegment {
            fail("consumer", "without positions, log before \(first) was deleted")
        }
        check { try disk.overwrite(Self.positions, spoiled.positions) }
        consumer.spoiled = nil
    }

    /// Once everything was taken and acknowledged, the stream is at the log's end.
    func checkConsumerIsAtTheEnd() {
        guard fault == nil, let log = engine?.log, let source = consumer.source else { return }
        if source.position.sequence != log.readable {
            fail("consumer", "it ends at \(source.position.sequence), the log at \(log.readable)")
        }
    }
}
