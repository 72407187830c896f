import EventLog
import TestSupport
import WriteBehind

/// The consumer of a change stream: it reports the changes that it sees, and those that it has acknowledged.
enum Following {
    private static let name = "crashtest"

    /// Prints lines `seen SEQUENCE` and `done SEQUENCE` until the process is killed.
    static func run(_ tables: Tables, _ say: (String) throws -> Void) async throws {
        var commits = 0
        for try await change in tables.store.changes(of: tables.items, named: name, from: .oldest) {
            try say("seen \(change.sequence)")
            guard change.isLastOfCommit else { continue }
            commits += 1
            guard commits.isMultiple(of: 7) else { continue }
            try await change.acknowledge()
            try say("done \(change.sequence)")
        }
    }

    /// Continues where the killed consumer was, up to the end of the log, and compares both consumers' changes with the log.
    static func check(_ tables: Tables, _ report: Report) async throws {
        let store = tables.store
        try await store.waitForAll(.durable)
        guard let position = store.changeStreams.first?.acknowledged else {
            guard report.seen.isEmpty else { throw Loss("the change stream is lost") }
            return
        }
        guard position >= report.done else {
            throw Loss("the change stream is at \(position), \(report.done) was acknowledged")
        }
        let log = store.engine.log
        log.makeReadable(through: log.lastSequence)
        let expected = try items(in: log, after: position)
        for sequence in report.seen where sequence > position && !expected.contains(sequence) {
            throw Loss("the consumer saw \(sequence), and the log does not hold it")
        }
        guard zip(report.seen, report.seen.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw Loss("the consumer saw a change twice, or too late: \(report.seen)")
        }
        guard !expected.isEmpty else { return }
        var found: [UInt64] = []
        for try await change in store.changes(of: tables.items, named: name) {
            found.append(change.sequence)
            guard change.sequence == expected.last else { continue }
            try await change.acknowledge()
            break
        }
        guard found == expected else {
            throw Loss("behind \(position) the change stream has \(found), the log \(expected)")
        }
    }

    private static func items(
        in log: Log, after position: UInt64
    ) throws -> [UInt64] {
        var found: [UInt64] = []
        guard position < log.readable else { return found }
        let table = try Catalog(defineRecords: log.preamble.records.span)[Item.schema.name]?.id
        let reader = try log.reader(from: position + 1)
        while try reader.next(through: log.readable) {
            let payload = reader.payload
            var commits = try reader.commits()
            while let commit = try commits.next(payload.span) {
                var records = ByteReader(commit.records)
                var sequence = commit.firstSequence
                while !records.isAtEnd {
                    let record = try records.record(payload.span)
                    let isRow = record.operation.isOfRow || record.operation == .clear
                    if record.table == table, isRow, sequence > position { found.append(sequence) }
                    sequence += 1
                }
            }
        }
        return found
    }
}
