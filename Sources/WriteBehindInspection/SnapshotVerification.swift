package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// All snapshots, checked.
package struct SnapshotVerification: Sendable {
    package struct Snapshot: Sendable {
        package var sequence: UInt64
        package var head: SnapshotHead?
        package var rowCount: UInt64 = 0
        package var byteCount = 0
        var error: SnapshotError?
        /// The snapshot's fault; nil if it is good.
        package var fault: String? { error.map { "\($0)" } }
        /// Whether its bytes are damaged. A file that cannot be read now, or by this version, may be good.
        package var isDamaged: Bool {
            if case .damaged = error { true } else { false }
        }
    }

    package let snapshots: [Snapshot]

    /// - Parameters:
    ///   - isWhole: whether all rows are read; otherwise only headers, schemas and footers are.
    ///   - jobs: how many snapshots are read at once.
    package init(_ environment: LogEnvironment, isWhole: Bool = true, jobs: Int = 1) throws {
        let sequences = try SnapshotReader.sequences(environment)
        snapshots = concurrently(sequences.count, jobs: jobs) {
            Self.check(sequences[$0], environment, isWhole: isWhole)
        }
    }

    /// Why one of them could not be judged: a newer version wrote it, or it cannot be read now. nil if all were.
    package var obstacle: SnapshotError? {
        snapshots.lazy.filter { !$0.isDamaged }.compactMap(\.error).first
    }

    /// The sequences of damaged snapshots.
    package var damaged: [UInt64] { snapshots.filter(\.isDamaged).map(\.sequence) }

    /// Moves damaged snapshots into `aside/`. The caller holds the store's lock, and has checked that log and other
    /// snapshots are complete without them.
    /// - Returns: their new paths.
    package static func putAside(
        _ sequences: [UInt64], in environment: LogEnvironment
    ) throws(SystemError) -> [String] {
        let (disk, layout) = (environment.disk, environment.layout)
        var paths: [String] = []
        for sequence in sequences {
            let path = try layout.cutOff("snapshot", at: sequence, on: disk)
            try disk.rename(layout.snapshot(sequence), to: path)
            paths.append(path)
        }
        try disk.synchronizeDirectory(layout.aside)
        try disk.synchronizeDirectory(layout.snapshots)
        return paths
    }

    /// The sequences of snapshots that were read and are good.
    package var good: Set<UInt64> { Set(snapshots.filter { $0.fault == nil }.map(\.sequence)) }

    private static func check(
        _ sequence: UInt64, _ environment: LogEnvironment, isWhole: Bool
    ) -> Snapshot {
        var snapshot = Snapshot(sequence: sequence)
        do throws(SnapshotError) {
            let reader = try SnapshotReader(of: sequence, in: environment)
            snapshot.head = reader.head
            snapshot.rowCount = reader.rowCount
            snapshot.byteCount = reader.byteCount
            if isWhole { while try reader.next() {} }
        } catch {
            snapshot.error = error
        }
        return snapshot
    }
}

extension StoreInspection {
    /// Moves damaged snapshots into `aside/`, unless the log's beginning was deleted and no other snapshot is
    /// good, so that the store needs them.
    /// - Returns: their new paths.
    package func setDamagedSnapshotsAside() throws -> [String] {
        let damaged = try SnapshotVerification(environment).damaged
        guard !damaged.isEmpty else { return [] }
        _ = try history().goodBase { _ in }
        let held = try FencedDisk.taking(layout, on: environment.disk)
        defer { held.release() }
        var environment = environment
        environment.disk = held
        return try SnapshotVerification.putAside(damaged, in: environment)
    }
}
