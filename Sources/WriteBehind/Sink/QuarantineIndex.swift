/// What is in quarantine, by sequence and by key. The sink's tables keep it; this finds in it.
struct QuarantineIndex: Sendable {
    private var commits: [UInt64: QuarantinedCommit] = [:]
    private var holders: [QuarantinedKey: Set<UInt64>] = [:]
    /// Every commit that touches a table, by any key.
    private var tableHolders: [UInt32: Set<UInt64>] = [:]

    var isEmpty: Bool { commits.isEmpty }
    /// In sequence order.
    var all: [QuarantinedCommit] {
        commits.values.sorted { $0.firstSequence < $1.firstSequence }
    }

    subscript(sequence: UInt64) -> QuarantinedCommit? { commits[sequence] }

    mutating func insert(_ commit: QuarantinedCommit) {
        remove(commit.firstSequence)
        commits[commit.firstSequence] = commit
        for key in commit.keys {
            holders[key, default: []].insert(commit.firstSequence)
            tableHolders[key.table, default: []].insert(commit.firstSequence)
        }
    }

    mutating func remove(_ sequence: UInt64) {
        guard let commit = commits.removeValue(forKey: sequence) else { return }
        for key in commit.keys {
            holders[key]?.remove(sequence)
            if holders[key]?.isEmpty == true { holders[key] = nil }
            tableHolders[key.table]?.remove(sequence)
            if tableHolders[key.table]?.isEmpty == true { tableHolders[key.table] = nil }
        }
    }

    /// The latest commit before `sequence` that touches one of `keys`: the one to follow.
    func blocker(of keys: [QuarantinedKey], before sequence: UInt64 = .max) -> UInt64? {
        guard !isEmpty else { return nil }
        return keys.lazy.compactMap { key in
            self.touching(key).filter { $0 < sequence }.max()
        }.max()
    }

    /// Throws where a change to `key` must not be applied before what is in quarantine.
    func refuse(_ key: QuarantinedKey) throws(SinkError) {
        guard let sequence = blocker(of: [key]) else { return }
        throw SinkError(.constraint, "quarantined sequence \(sequence) comes first for a key")
    }

    private func touching(_ key: QuarantinedKey) -> Set<UInt64> {
        switch key {
        case .table(let table): tableHolders[table] ?? []
        case .row(let table, _):
            (holders[key] ?? []).union(holders[.table(table)] ?? [])
        }
    }

    /// Removes a commit and all that came to follow it, and returns their sequences.
    mutating func release(_ sequence: UInt64) -> [UInt64] {
        guard let first = commits[sequence] else { return [] }
        var released = QuarantineIndex()
        released.insert(first)
        // One pass in order finds all: a commit follows only earlier ones.
        for commit in all where commit.firstSequence > sequence {
            if released.blocker(of: commit.keys) != nil { released.insert(commit) }
        }
        let sequences = released.commits.keys.sorted()
        for sequence in sequences { remove(sequence) }
        return sequences
    }
}

extension QuarantinedKey {
    var table: UInt32 {
        switch self {
        case .row(let table, _), .table(let table): table
        }
    }
}
