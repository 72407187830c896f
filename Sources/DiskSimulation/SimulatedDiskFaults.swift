import EventLog
import Glibc
import Synchronization

/// The operations that a store asks of a disk. The raw value is the `call` of an injected error.
package enum DiskOperation: String, Sendable, CaseIterable {
    case createDirectory, list, open, rename, remove, exists, synchronizeDirectory, map, lock, hold
    case byteCount, read, write, synchronize, truncate
    /// ``MappedBytes/synchronize(_:)``
    case synchronizeMapping
    /// ``MappedBytes/reserve(_:)``
    case reserve
    /// ``Held/standing(at:)``
    case standing
    case dropCache

    /// Whether sweeps that fail one operation after the other leave it out: the check whether a file is in its place comes
    /// with every change, and dropping a cache cannot fail.
    var isUncounted: Bool { self == .standing || self == .dropCache }
}

/// How an operation fails.
package enum Fault: Sendable, Equatable {
    /// With this error and no effect, except that a sync forgets what it should have written.
    case errno(Int32)
    /// With this error, after a part of the bytes was written; the disk's seed decides how much. Other
    /// operations than a write have no effect.
    case shortWrite(Int32)

    var code: Int32 {
        switch self {
        case .errno(let code), .shortWrite(let code): code
        }
    }
}

extension SimulatedDisk {
    /// One line of the trace.
    package struct LoggedOperation: Sendable, Equatable, CustomStringConvertible {
        package var kind: DiskOperation
        package var path: String

        package init(_ kind: DiskOperation, _ path: String) {
            self.kind = kind
            self.path = path
        }

        package var description: String { "\(kind) \(path)" }
    }

    /// Fails the `n`-th operation from now on (1 is the next), and every later one if `permanently`.
    package func fail(at n: Int, with fault: Fault, permanently: Bool = false) {
        precondition(n > 0)
        state.withLock { $0.faults.counted = .init(left: n, fault, permanently) }
    }

    /// Fails the next `times` operations of this kind on files whose path ends in `suffix`.
    package func fail(
        _ kind: DiskOperation, onFileNamed suffix: String, with fault: Fault = .errno(EIO),
        times: Int = 1
    ) {
        state.withLock { $0.faults.named.append(.init(kind, suffix, fault, left: times)) }
    }

    /// From now on, syncs of files whose path contains `part` do nothing, but report success. No disk
    /// should do that, but a test checks that such a disk is detected.
    package func ignoreSyncs(ofPathsWith part: String) {
        state.withLock { $0.unsyncedPaths = part }
    }

    /// Nothing fails from now on.
    package func stopFailing() {
        state.withLock { $0.faults = Faults() }
    }

    /// Whether a failure was due that makes all later operations fail.
    package var hasStopped: Bool { state.withLock { $0.faults.hasStopped } }

    /// How many operations there were, including failed ones. Crashes do not reset it.
    package var operationCount: Int { state.withLock { $0.operationCount } }

    /// How many operations of one kind there were while ``keepsTrace`` was true.
    package func count(of kind: DiskOperation) -> Int {
        state.withLock { $0.operationCounts[kind, default: 0] }
    }

    /// The operations since the disk was made or ``clearOperations()``.
    package var operations: [LoggedOperation] { state.withLock { $0.operations } }

    package func clearOperations() {
        state.withLock { $0.operations = [] }
    }

    /// The failures that are still ahead.
    struct Faults: Sendable {
        struct Counted: Sendable {
            var left: Int
            let fault: Fault
            let isPermanent: Bool

            init(left: Int, _ fault: Fault, _ isPermanent: Bool) {
                self.left = left
                self.fault = fault
                self.isPermanent = isPermanent
            }
        }

        struct Named: Sendable {
            let kind: DiskOperation
            let suffix: String
            let fault: Fault
            var left: Int

            init(_ kind: DiskOperation, _ suffix: String, _ fault: Fault, left: Int) {
                self.kind = kind
                self.suffix = suffix
                self.fault = fault
                self.left = left
            }
        }

        var counted: Counted?
        var named: [Named] = []
        private(set) var hasStopped = false

        /// The failure due for the operation that begins now.
        mutating func next(_ kind: DiskOperation, _ path: String) -> Fault? {
            if !kind.isUncounted, let due = countDown() { return due }
            for index in named.indices where named[index].left > 0 {
                guard named[index].kind == kind, path.hasSuffix(named[index].suffix) else {
                    continue
                }
                named[index].left -= 1
                return named[index].fault
            }
            return nil
        }

        private mutating func countDown() -> Fault? {
            guard var next = counted else { return nil }
            if next.left > 1 {
                next.left -= 1
                counted = next
                return nil
            }
            if next.isPermanent { hasStopped = true } else { counted = nil }
            return next.fault
        }
    }
}
