package import EventLog

/// The facts about a commit that matter for quarantine.
package struct CommitContents: Sendable {
    /// Every key that it touches, once.
    package var keys: [QuarantinedKey] = []
    package var cleared: Set<UInt32> = []
    /// Whether its rows do not depend on what they were before.
    package var isBlind = true
    /// Whether it defines a table. A definition is always a commit of its own.
    package var isDefinition = false
    /// Whether it gives up only its own rows, and other commits give up the rest of the group.
    package var isPartOfSettlement = false

    package init(of commit: OrderedCommit) throws(MalformedRecord) {
        var seen: Set<QuarantinedKey> = []
        var settles = false
        let bytes = commit.records.span
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd {
            let record = try reader.record(bytes)
            let key: QuarantinedKey
            switch record.operation {
            case .put, .patch, .add, .delete:
                key = .row(table: record.table, key: Array(commit.records[record.key]))
            case .clear:
                cleared.insert(record.table)
                key = .table(record.table)
            case .define:
                // All rows of the table wait for it, and it depends on what they were.
                (isBlind, isDefinition, key) = (false, true, .table(record.table))
            case .settle:
                var body = ByteReader(record.body)
                for _ in 0..<2 { _ = try body.varint(bytes) }
                isPartOfSettlement = try body.varint(bytes) > 0
                settles = true
                continue
            case .mark, .preamble: continue
            }
            let isNew = seen.insert(key).inserted
            if isNew { keys.append(key) }
            let isPartial = record.operation == .patch || record.operation == .add
            // In a settlement it is an add of nothing to a row of a shared table, which stays as it is.
            if isPartial, isNew, !settles, !cleared.contains(record.table) {
                isBlind = false
            }
        }
    }
}

/// The state of a retry during its pass over the log. The commits that it has tried and that are still refused become the
/// next quarantine.
package struct RetryPass: Sendable {
    /// The commits that were tried and are still refused.
    package var left = QuarantineIndex()
    /// How many commits left quarantine.
    package var applied = 0
    /// How many settlements by other commits it has seen.
    var settlements = 0

    package init() {}
}

extension QuarantineIndex {
    /// Tries the next commit of the log, unless it must follow commits in quarantine.
    ///
    /// - Parameter attempt: applies the commit as a whole, or returns the reason why not and leaves nothing of it behind.
    package mutating func admit(
        _ commit: OrderedCommit, at now: Int64,
        attempt: (OrderedCommit) throws(SinkError) -> SinkError?
    ) throws(SinkError) {
        guard !isEmpty else {
            if let error = try attempt(commit) {
                let contents = try commit.contents()
                add(
                    commit, error, keys: contents.keys, isDefinition: contents.isDefinition, now)
            }
            return
        }
        let contents = try commit.contents()
        let following = groups(touching: contents.keys)
        if !following.isEmpty, !settles(contents, following) {
            return follow(
                commit.firstSequence, count: commit.recordCount, contents.keys, following)
        }
        guard let error = try attempt(commit) else {
            release(contents, following)
            return
        }
        if following.isEmpty {
            add(commit, error, keys: contents.keys, isDefinition: contents.isDefinition, now)
        } else {
            follow(commit.firstSequence, count: commit.recordCount, contents.keys, following)
        }
    }

    private mutating func add(
        _ commit: OrderedCommit, _ error: SinkError, keys: [QuarantinedKey],
        isDefinition: Bool, _ now: Int64
    ) {
        add(
            QuarantinedCommit(
                firstSequence: commit.firstSequence, recordCount: commit.recordCount,
                error: error, refusedAt: now, attempts: 1, keys: keys,
                isDefinition: isDefinition))
    }

    /// Tries a commit in quarantine again, in the order of the log.
    package mutating func readmit(
        _ commit: OrderedCommit, in pass: inout RetryPass, at now: Int64,
        attempt: (OrderedCommit) throws(SinkError) -> SinkError?
    ) throws(SinkError) {
        let (first, count) = (commit.firstSequence, commit.recordCount)
        guard contains(first, try commit.contents()) else { return }
        let commit = try unsettled(commit)
        let contents = try commit.contents()
        let following = contents.isDefinition ? [] : pass.left.groups(touching: contents.keys)
        if !following.isEmpty, !pass.left.settles(contents, following) {
            return pass.left.follow(first, count: count, contents.keys, following)
        }
        if let error = try attempt(commit) {
            guard following.isEmpty else {
                return pass.left.follow(first, count: count, contents.keys, following)
            }
            let before = refused[first]
            return pass.left.add(
                QuarantinedCommit(
                    firstSequence: first, recordCount: count, error: error,
                    refusedAt: before?.refusedAt ?? now, attempts: (before?.attempts ?? 0) + 1,
                    keys: contents.keys, isDefinition: contents.isDefinition))
        }
        let superseded = pass.left.release(contents, following)
        pass.applied += 1 + superseded.commitCount
        didApply(first, count: count, contents.keys, replacing: superseded)
    }
}

extension QuarantineIndex {
    /// A commit in quarantine without the records that were given up since, because a later commit has set their rows.
    package func unsettled(_ commit: OrderedCommit) throws(SinkError) -> OrderedCommit {
        let contents = try commit.contents()
        let first = commit.firstSequence
        if contents.isDefinition || contents.keys.allSatisfy({ contains(first, $0) }) {
            return commit
        }
        var left = commit
        left.records.removeAll()
        var sequences: [UInt64] = []
        var sequence = first
        let bytes = commit.records.span
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd {
            defer { sequence += 1 }
            let start = reader.offset
            let record = try reader.sinkRecord(bytes)
            let isHeld =
                switch record.operation {
                case .put, .patch, .add, .delete:
                    contains(
                        first, .row(table: record.table, key: Array(commit.records[record.key])))
                case .clear: contains(first, .table(record.table))
                case .define, .mark, .settle, .preamble: true
                }
            guard isHeld else { continue }
            left.records += commit.records[start..<reader.offset]
            sequences.append(sequence)
        }
        left.sequences = sequences
        return left
    }
}

extension OrderedCommit {
    package func contents() throws(SinkError) -> CommitContents {
        do throws(MalformedRecord) {
            return try CommitContents(of: self)
        } catch {
            throw SinkError(malformed: error)
        }
    }
}
