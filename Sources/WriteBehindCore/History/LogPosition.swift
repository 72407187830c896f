package import EventLog

/// A place in history: after a commit.
package struct LogPosition: Equatable, Sendable {
    /// The commit's last sequence; 0 before the first.
    package var sequence: UInt64
    /// The log's chain value there.
    package var chain: UInt64
    /// The commit's time, milliseconds since 1970; 0 before the first.
    package var time: UInt64

    package init(sequence: UInt64, chain: UInt64, time: UInt64) {
        self.sequence = sequence
        self.chain = chain
        self.time = time
    }

    /// Before the first commit.
    package init(startOf store: StoreID) {
        self.init(sequence: 0, chain: Chain(startOf: store).value, time: 0)
    }

    package init(_ head: SnapshotHead) {
        self.init(sequence: head.sequence, chain: head.chain, time: head.time)
    }
}

/// A past state. A commit is in it as a whole or not at all.
package enum LogPoint: Equatable, Sendable, CustomStringConvertible {
    /// The durable part of the log.
    case end
    /// After the last commit that ends at or before this sequence.
    case sequence(UInt64)
    /// After the last commit of this time or before; milliseconds since 1970.
    case time(UInt64)
    /// Where the last mark of this name was set.
    case mark(String)

    package var description: String {
        switch self {
        case .end: "the end"
        case .sequence(let sequence): "sequence \(sequence)"
        case .time(let time): MomentText.iso(milliseconds: time)
        case .mark(let name): "mark \(StoredValue.text(name))"
        }
    }
}

/// How far to fold: only commits that are within both limits.
package struct FoldLimit: Sendable {
    package var sequence: UInt64 = .max
    /// Milliseconds since 1970.
    package var time: UInt64 = .max

    package func admits(_ commit: Commit) -> Bool {
        commit.lastSequence <= sequence && commit.time <= time
    }

    package func admits(_ block: BlockHeader) -> Bool {
        block.nextSequence - 1 <= sequence && block.time / 1000 <= time
    }

    package func admits(_ position: LogPosition) -> Bool {
        position.sequence <= sequence && position.time <= time
    }
}
