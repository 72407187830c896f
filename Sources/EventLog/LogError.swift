/// What can go wrong with the log.
package enum LogError: Error, Equatable, Sendable {
    /// A system call failed. An I/O error while reading is this, never a torn tail.
    case system(SystemError)
    /// There is no space. Nothing that was acknowledged is lost; writing resumes when there is some.
    case diskFull(SystemError)
    /// An fsync failed earlier. Nothing is written until the store is reopened.
    case poisoned(SystemError)
    /// The store is no longer alone, or its files are no longer where they were. Nothing is written until the
    /// store is reopened.
    case fenced(SystemError)
    /// A commit in the write buffer is no longer what was appended: the memory failed, or something else wrote
    /// to it. Nothing is written until the store is reopened.
    case bufferChanged(sequence: UInt64)
    /// The log is damaged in a place where it was durable.
    case corrupt(Corruption)
    /// A file of a version or with features that this library does not know.
    case unsupported(path: String, FormatFault)
    /// A commit does not fit into a block or a slot.
    case commitTooLarge(byteCount: Int, limit: Int)
    /// The log starts later: the segment that held the sequence has been deleted.
    case deleted(sequence: UInt64, oldest: UInt64?)
    /// The process is a child made by `fork()`, which shares the parent's buffer.
    case forked
    case closed
}

/// Why bytes are no header of ours. Foreign, newer and damaged are three different things.
package enum FormatFault: Error, Equatable, Sendable {
    case truncated(byteCount: Int)
    case unknownMagic(UInt32)
    case unsupportedVersion(UInt32)
    case unsupportedFeatures(UInt32)
    case checksumMismatch
    case outOfRange(field: String)

    /// Whether a newer library wrote the file: not damage, and nothing of it may be touched.
    package var isNewer: Bool {
        switch self {
        case .unsupportedVersion, .unsupportedFeatures: true
        default: false
        }
    }
}

/// Damage, named: where it is, which sequences it costs, and how we know that they had been durable.
package struct Corruption: Error, Equatable, Sendable {
    package var path: String
    package var offset: Int
    /// The first sequence that cannot be read.
    package var firstLost: UInt64
    package var reason: String
    package var evidence: Evidence

    package init(
        path: String, offset: Int, firstLost: UInt64, reason: String, evidence: Evidence
    ) {
        self.path = path
        self.offset = offset
        self.firstLost = firstLost
        self.reason = reason
        self.evidence = evidence
    }
}

/// How we know that a lost sequence had been durable, so that its loss is damage and no torn tail.
package enum Evidence: Equatable, Sendable {
    /// E1: the segment is sealed or not the last one.
    case sealed
    /// E2: something valid that was written later says that the sequence was synced.
    case laterWitness(path: String, offset: Int, synced: UInt64)
    /// E3: the database or a snapshot already holds the sequence.
    case appliedBy(name: String, sequence: UInt64)
    /// The log itself had published the sequence as durable, or read past it, before it met the damage.
    case published(through: UInt64)
    /// E4: a segment longer than its header lost the header.
    case headerLost
}

extension FormatFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let count): "only \(count) bytes are left where a header belongs"
        case .unknownMagic: "no header stands there"
        case .unsupportedVersion(let version):
            "format version \(version >> 16).\(version & 0xFFFF) is newer than this program"
        case .unsupportedFeatures(let bits):
            "it needs features that this program does not have (0x\(String(bits, radix: 16)))"
        case .checksumMismatch: "the header does not match its checksum"
        case .outOfRange(let field): "the header's \(field) is out of range"
        }
    }
}

extension Corruption: CustomStringConvertible {
    package var description: String {
        "\(path) is damaged at offset \(offset): \(reason); "
            + "sequence \(firstLost) is lost, and \(evidence)"
    }
}

extension Evidence: CustomStringConvertible {
    package var description: String {
        switch self {
        case .sealed: "it had been synced, since its segment is not the active one"
        case .laterWitness(let path, let offset, let synced):
            "\(path) at offset \(offset) shows that everything through \(synced) had been synced"
        case .appliedBy(let name, let sequence): "\(name) already holds it (through \(sequence))"
        case .published(let sequence): "everything through \(sequence) had been synced"
        case .headerLost: "a segment with blocks had a synced header"
        }
    }
}

extension LogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .diskFull(let error): "the disk is full (\(error)); writes resume when there is space"
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

/// Runs file operations, turning their errors into the log's.
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
        case .system, .diskFull: true
        default: false
        }
    }

    /// Whether nothing but reopening the store helps.
    package var isFinal: Bool {
        switch self {
        case .poisoned, .fenced, .bufferChanged: true
        default: false
        }
    }

    package init(_ error: SystemError) {
        if error.isFence {
            self = .fenced(error)
        } else {
            self = error.isDiskFull ? .diskFull(error) : .system(error)
        }
    }

    /// What a failed write or sync of the log makes of it.
    init(final error: SystemError) {
        self = error.isFence ? .fenced(error) : .poisoned(error)
    }
}
