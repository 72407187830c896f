/// The names of a store's files; the only place that makes or parses them.
///
///     airport/                          the store
///       LOCK                            held by the one writer
///       store.json                      format version, store UUID, time of creation
///       staging                         write buffer, while the store is open
///       clean-end                       where the log ended, while the store is closed
///       log-start                       up to where log was deleted
///       change-streams                  how far the consumer of each change stream has acknowledged
///       log/00000000000000000001.zst    segment, named by its first sequence
///       snapshots/00000000000000048000.zst
///       database.sqlite                 the materialized database
///       aside/                          what recovery cut off, and databases that were replaced
///       database.json                   where the database is, if it is not the file database.sqlite
///       health.json                     why the writer is not well, while it is not
///       secondaries.json                how far databases are that are not in the directory, if there are any
///       projections.json                how far projections are, if there are any and the store is open
///       quarantine.retry, .retried      the tool asks a running writer, which answers
///
/// Sequence numbers are padded to 20 digits, so that `ls` sorts them.
package struct StoreLayout: Sendable, Equatable {
    package let root: String

    package init(root: String) {
        self.root = root
    }

    package var lock: String { root + "/LOCK" }
    package var identity: String { root + "/store.json" }
    package var staging: String { root + "/staging" }
    package var cleanEnd: String { root + "/clean-end" }
    package var logStart: String { root + "/log-start" }
    package var changeStreams: String { root + "/change-streams" }
    package var log: String { root + "/log" }
    package var snapshots: String { root + "/snapshots" }
    package var database: String { root + "/database.sqlite" }
    package var aside: String { root + "/aside" }
    package var databasePlace: String { root + "/database.json" }
    package var health: String { root + "/health.json" }
    package var secondaries: String { root + "/secondaries.json" }
    package var projections: String { root + "/projections.json" }
    package var retryRequest: String { root + "/quarantine.retry" }
    package var retried: String { root + "/quarantine.retried" }

    package func segment(_ base: UInt64) -> String { log + "/" + Self.fileName(base) }
    package func snapshot(_ sequence: UInt64) -> String {
        snapshots + "/" + Self.fileName(sequence)
    }

    /// The path of the directory that holds `path`, without a slash at its end.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The name under which a file is written before it is renamed to `path`.
    package static func temporary(_ path: String) -> String { path + temporarySuffix }

    package static func isTemporary(_ name: String) -> Bool { name.hasSuffix(temporarySuffix) }

    /// A path for bytes that recovery cut off at `sequence`, at which there is no file yet.
    package func cutOff(
        _ what: String, at sequence: UInt64, on disk: any Disk
    ) throws(SystemError) -> String {
        var number = 0
        while try disk.exists(cutOff(what, at: sequence, number: number)) { number += 1 }
        return cutOff(what, at: sequence, number: number)
    }

    /// A path for bytes that recovery cut off at `sequence`; `number` distinguishes several files of one sequence.
    func cutOff(_ what: String, at sequence: UInt64, number: Int) -> String {
        let suffix = number == 0 ? "" : ".\(number)"
        return aside + "/" + Self.padded(sequence) + "." + what + suffix
    }

    package static func fileName(_ sequence: UInt64) -> String { padded(sequence) + suffix }

    /// The sequence that a segment or snapshot is named after; nil for any other name. No file begins at 0 or beyond the
    /// limit of sequences.
    package static func sequence(ofFileNamed name: String) -> UInt64? {
        guard name.utf8.count == digits + suffix.utf8.count, name.hasSuffix(suffix) else {
            return nil
        }
        let number = name.utf8.prefix(digits)
        guard number.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let sequence = UInt64(name.prefix(digits)),
            (1...sequenceLimit).contains(sequence)
        else { return nil }
        return sequence
    }

    /// See ``Frame/sequenceLimit``.
    static let sequenceLimit: UInt64 = 1 << 62
    private static let digits = 20
    private static let suffix = ".zst"
    private static let temporarySuffix = ".tmp"

    private static func padded(_ sequence: UInt64) -> String {
        let number = String(sequence)
        return String(repeating: "0", count: digits - number.utf8.count) + number
    }
}
