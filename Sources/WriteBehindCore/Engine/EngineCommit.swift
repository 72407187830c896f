import EventLog
import Synchronization

/// The reads that a commit relies on. They are checked again, under the locks, before it is appended.
package struct ReadVersion: Sendable {
    package enum Version: Sendable, Equatable {
        /// The row in the view, or its tombstone, that has this sequence.
        case resident(sequence: UInt64)
        /// It came from the database, at this watermark; the view had nothing.
        case stored(watermark: UInt64)
    }

    var table: UInt16
    var key: [UInt8]
    var version: Version

    package init(table: UInt16, key: [UInt8], version: Version) {
        self.table = table
        self.key = key
        self.version = version
    }
}

extension Engine {
    /// Appends a commit and applies it to the view, whole.
    @discardableResult
    package func commit(_ commit: CommitBuilder) throws(StoreError) -> Receipt {
        // Without reads, nothing can conflict.
        guard let receipt = try self.commit(commit, reads: []) else {
            preconditionFailure("a commit without reads conflicted")
        }
        return receipt
    }

    /// Appends a commit and applies it to the view, whole; nil if what it relied on has changed.
    ///
    /// - Parameter generation: the ``generation`` before its rows were encoded. If a table has got columns since, the rows may
    ///   lack them; nil if they cannot.
    package func commit(
        _ commit: CommitBuilder, reads: [ReadVersion], generation: UInt32? = nil
    ) throws(StoreError) -> Receipt? {
        assert(!commit.isEmpty)
        let hashes = commit.hashes(in: view)
        let readHashes = reads.map { view.hash(table: $0.table, key: $0.key.span) }
        while true {
            guard
                let outcome = try self.commit(
                    commit, hashes, reads, readHashes, generation)
            else { return nil }
            if case .appended(let first) = outcome {
                if commit.clearsTable { cleared.raise() }
                return Receipt(
                    firstSequence: first, sequence: first + UInt64(commit.count) - 1,
                    store: number)
            }
            wait(outcome)
        }
    }

    /// Appends a commit without reads and applies it to the view, whole, unless staging is full.
    func commitIfRoom(_ commit: CommitBuilder) throws(StoreError) -> Staging.Outcome {
        guard let outcome = try self.commit(commit, commit.hashes(in: view), [], [], nil)
        else {
            preconditionFailure("a commit without reads conflicted")
        }
        return outcome
    }

    private func commit(
        _ commit: CommitBuilder, _ hashes: [UInt64], _ reads: [ReadVersion], _ readHashes: [UInt64],
        _ generation: UInt32?
    ) throws(StoreError) -> Staging.Outcome? {
        try lock(commit, hashes + readHashes) { (shards) throws(StoreError) -> Staging.Outcome? in
            if let generation, generation != self.generation.load(ordering: .relaxed) {
                return nil
            }
            guard areCurrent(reads, readHashes, shards) else { return nil }
            try admit(commit, hashes, shards)
            let outcome = try unsafe append(
                commit.bytes.span.bytes, count: commit.count, flags: commit.flags)
            if case .appended(let first) = outcome {
                apply(commit, hashes, shards, first)
                if indexedTables.load(ordering: .relaxed) != 0 { index(commit, hashes) }
            }
            return outcome
        }
    }

    /// Whether rows that were read one after the other are all as they were read. One row always is as of one moment.
    func areOfOneMoment(_ reads: [ReadVersion]) -> Bool {
        guard reads.count > 1 else { return true }
        let hashes = reads.map { view.hash(table: $0.table, key: $0.key.span) }
        return view.withShards(of: hashes.span) { shards in areCurrent(reads, hashes, shards) }
    }

    private func areCurrent(
        _ reads: [ReadVersion], _ hashes: [UInt64], _ shards: borrowing LockedShards
    ) -> Bool {
        for (read, hash) in zip(reads, hashes) {
            let isCurrent = shards.withShard(of: hash) { read.isCurrent(in: &$0, hash) }
            if !isCurrent { return false }
        }
        return true
    }

    private func lock<R>(
        _ commit: CommitBuilder, _ hashes: [UInt64],
        _ body: (borrowing LockedShards) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        if commit.clearsTable { return try view.withAllShards(body) }
        return try view.withShards(of: hashes.span, body)
    }

    private func admit(
        _ commit: CommitBuilder, _ hashes: [UInt64], _ shards: borrowing LockedShards
    ) throws(StoreError) {
        for (step, hash) in zip(commit.steps, hashes) {
            guard case .change(let change) = step else { continue }
            try shards.withShard(of: hash) { (shard) throws(StoreError) in
                // Each shard is checked by itself, so a commit may exceed a shard's limit by the commit's own size.
                try admit(
                    &shard,
                    Shard.cost(keyLength: change.key.count, bodyLength: change.body.count))
            }
        }
    }

    private func apply(
        _ commit: CommitBuilder, _ hashes: [UInt64], _ shards: borrowing LockedShards,
        _ first: UInt64
    ) {
        for (index, step) in commit.steps.enumerated() {
            let sequence = first + UInt64(index)
            switch step {
            case .other: break
            case .clear(let table):
                for number in 0..<view.shardCount {
                    shards.withShard(number: number) { $0.clear(table, sequence: sequence) }
                }
            case .change(let change):
                let bytes = commit.bytes.span
                shards.withShard(of: hashes[index]) {
                    $0.apply(
                        change.kind, hashes[index], change.table, bytes.extracting(change.key),
                        bytes.extracting(change.body), sequence, change.deadline)
                }
            }
        }
    }
}

extension CommitBuilder {
    /// One hash for each step; it has no meaning for steps that concern no row.
    fileprivate func hashes(in view: CacheView) -> [UInt64] {
        steps.map { step in
            guard case .change(let change) = step else { return 0 }
            return view.hash(table: change.table, key: bytes.span.extracting(change.key))
        }
    }

    fileprivate var clearsTable: Bool {
        steps.contains {
            if case .clear = $0 { true } else { false }
        }
    }
}

extension ReadVersion {
    func isCurrent(in shard: inout Shard, _ hash: UInt64) -> Bool {
        let found = shard.peek(hash, table, key.span)
        switch version {
        case .resident(let sequence):
            // If the row has only left memory, nothing newer than it has left its shard.
            if found.state == .absent { return shard.isCurrent(table, asOf: sequence) }
            return (found.state == .full || found.state == .tombstone)
                && found.sequence == sequence
        case .stored(let watermark):
            return found.state == .absent && shard.isCurrent(table, asOf: watermark)
        }
    }
}
