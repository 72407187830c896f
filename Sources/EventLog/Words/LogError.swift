/// The errors of the log.
package enum LogError: Error, Equatable, Sendable {
    /// A system call failed. An I/O error while reading is this error, never a torn tail.
    case system(SystemError)
    /// There is no space. Nothing that was acknowledged is lost. Writing resumes when there is space.
    case diskFull(SystemError)
    /// Opening has no space for the bytes that it must write, at most `needed`. Nothing is lost, and the log can be read.
    case noRoom(SystemError, needed: Int)
    /// An fsync failed earlier. Nothing is written until the store is reopened.
    case poisoned(SystemError)
    /// The store's files were moved or replaced, or another process may have them. Nothing is written until the
    /// store is reopened.
    case fenced(SystemError)
    /// A commit in the write buffer was changed after it was appended: the memory failed, or other code wrote
    /// to it. Nothing is written until the store is reopened.
    case bufferChanged(sequence: UInt64)
    /// The log is damaged in a place where it was durable.
    case corrupt(Corruption)
    /// A file of a version or with features that this library cannot read.
    case unsupported(path: String, FormatFault)
    /// A file that was just written or read has other bytes now. No file was replaced.
    case readsDifferently(path: String)
    /// There is no file of this name.
    case missing(path: String)
    /// A commit does not fit into a block or a slot.
    case commitTooLarge(byteCount: Int, limit: Int)
    /// The log starts later: the segment that held the sequence has been deleted.
    case deleted(sequence: UInt64, oldest: UInt64?)
    /// The process is a child made by `fork()`, which shares the parent's buffer.
    case forked
    case closed
}

/// Damage: its place, the lost sequences, and the evidence that they had been durable.
package struct Corruption: Error, Equatable, Sendable {
    package var path: String
    package var offset: Int
    /// The first sequence that cannot be read.
    package var firstLost: UInt64
    /// The last sequence that cannot be read, if more is known than the evidence shows.
    package var lastLost: UInt64?
    package var reason: String
    package var evidence: Evidence

    package init(
        path: String, offset: Int, firstLost: UInt64, lastLost: UInt64? = nil, reason: String,
        evidence: Evidence
    ) {
        self.path = path
        self.offset = offset
        self.firstLost = firstLost
        self.lastLost = lastLost
        self.reason = reason
        self.evidence = evidence
    }

    /// The sequences that had been durable and cannot be read; nil if nothing shows that there are any.
    package var lost: ClosedRange<UInt64>? {
        let last: UInt64? =
            switch evidence {
            case .laterWitness(_, _, let durable), .stagingSays(let durable): durable
            case .appliedBy(_, let sequence), .closedAt(let sequence): sequence
            case .published(let sequence): sequence
            case .sealed, .headerLost, .startMissing: firstLost
            case .endUnknown: nil
            }
        return last.map { firstLost...max(firstLost, lastLost ?? $0) }
    }
}

/// The evidence that a lost sequence had been durable, so that its loss is damage and not a torn tail.
package enum Evidence: Equatable, Sendable {
    /// E1: the segment is sealed or not the last one.
    case sealed
    /// E2: a valid header that was written later says that the sequence was synced.
    case laterWitness(path: String, offset: Int, durable: UInt64)
    /// E3: the database or a snapshot already holds the sequence.
    case appliedBy(name: String, sequence: UInt64)
    /// The log itself had published the sequence as durable, or had read past it, before it found the damage.
    case published(through: UInt64)
    /// E4: a segment longer than its header lost the header.
    case headerLost
    /// E5: staging's header says that everything through this sequence survives power loss.
    case stagingSays(durable: UInt64)
    /// E6: the store was closed when the log ended with this sequence (clean-end).
    case closedAt(UInt64)
    /// E6: log was deleted only through this sequence (log-start).
    case startMissing(deleted: UInt64)
    /// E7: a file is missing or outdated that no crash removes, so it is unknown where the log ended. The
    /// writer's buffer, which may have held more commits, had this many bytes; 0 if that is unknown.
    case endUnknown(bufferByteCount: Int)
}

extension Evidence {
    /// Whether only a database or a snapshot is the evidence.
    package var isByWitness: Bool {
        if case .appliedBy = self { true } else { false }
    }
}

extension Corruption: CustomStringConvertible {
    package var description: String {
        if case .endUnknown = evidence {
            return "\(path): \(reason); \(evidence) (after #\(firstLost - 1))"
        }
        return "\(path) is damaged at offset \(offset): \(reason); "
            + "sequence \(firstLost) is lost, and \(evidence)"
    }
}

extension Evidence: CustomStringConvertible {
    package var description: String {
        switch self {
        case .sealed: "it had been synced, since its segment was complete"
        case .laterWitness(let path, let offset, let durable):
            "\(path) at offset \(offset) shows that everything through \(durable) had been synced"
        case .appliedBy(let name, let sequence): "\(name) already holds it (through \(sequence))"
        case .published(let sequence): "everything through \(sequence) had been synced"
        case .headerLost: "a segment with blocks had a synced header"
        case .stagingSays(let durable):
            "the write buffer says that everything through \(durable) had been synced"
        case .closedAt(let sequence): "the store was closed when the log ended with \(sequence)"
        case .startMissing(let deleted):
            deleted == 0
                ? "nothing says that it was deleted"
                : "log was deleted only through \(deleted)"
        case .endUnknown(let bytes):
            bytes == 0
                ? "what the write buffer held may be missing"
                : "up to \(bytes >> 10) KiB of writes may be missing"
        }
    }
}

extension Evidence {
    /// The evidence in words, with its number in the article Recovery.
    package var label: String {
        switch self {
        case .sealed: "E1: \(self)"
        case .laterWitness: "E2: \(self)"
        case .appliedBy: "E3: \(self)"
        case .headerLost: "E4: \(self)"
        case .stagingSays: "E5: \(self)"
        case .closedAt, .startMissing: "E6: \(self)"
        case .endUnknown: "E7: \(self)"
        case .published: "\(self)"
        }
    }
}

extension LogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .diskFull(let error): "the disk is full (\(error)); writes resume when there is space"
        case .noRoom(let error, let needed):
            "opening needs up to \((needed + 1023) >> 10) KiB of free space (\(error)); nothing is lost, "
                + "and the `writebehind` tool reads the store as it is"
        case .poisoned(let error):
            "syncing the log failed (\(error)); reopen the store to write again"
        case .fenced(let error):
            "\(error), so another program may be at work there: nothing more is written; close the "
                + "store, put the right directory in its place, and open it again"
        case .bufferChanged(let sequence):
            "the commit of sequence \(sequence) was changed in the write buffer after it was appended "
                + "(failing memory, or something else wrote to it), so neither it nor what follows is "
                + "written; reopen the store to write again"
        case .corrupt(let corruption): "\(corruption)"
        case .unsupported(let path, let fault): "\(path) cannot be read by this version: \(fault)"
        case .readsDifferently(let path):
            "\(path) reads differently than a moment ago, so the disk or the memory may be failing; nothing was "
                + "replaced by it"
        case .missing(let path): "there is no file \(path)"
        case .commitTooLarge(let count, let limit):
            "the commit takes \(count) bytes, and \(limit) is the limit"
        case .deleted(let sequence, let oldest):
            "the log no longer holds sequence \(sequence)"
                + (oldest.map { ": it starts at \($0)" } ?? ": it is empty")
        case .forked: "a child of fork() cannot write to its parent's store; open it after exec"
        case .closed: "the log is closed"
        }
    }
}

/// Runs file operations, and turns their errors into those of the log.
@inline(always)
func onDisk<T>(_ body: () throws(SystemError) -> T) throws(LogError) -> T {
    do throws(SystemError) {
        return try body()
    } catch {
        throw LogError(error)
    }
}

extension LogError {
    /// Whether trying again may help. A failed write or fsync is final until the store is reopened.
    var isTemporary: Bool {
        switch self {
        case .system, .diskFull, .noRoom, .readsDifferently: true
        default: false
        }
    }

    /// Whether only reopening the store helps.
    package var isFinal: Bool {
        switch self {
        case .poisoned, .fenced, .bufferChanged: true
        default: false
        }
    }

    package init(_ error: SystemError) {
        self = Self.fence(error) ?? (error.isDiskFull ? .diskFull(error) : .system(error))
    }

    /// The error after a failed write or sync of the log.
    init(final error: SystemError) {
        self = Self.fence(error) ?? .poisoned(error)
    }

    private static func fence(_ error: SystemError) -> LogError? {
        guard error.isFence else { return nil }
        return error.isClosed ? .closed : .fenced(error)
    }
}
