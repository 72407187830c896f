package import EventLog

/// All snapshots, checked.
package struct SnapshotVerification: Sendable {
    package struct Snapshot: Sendable {
        package var sequence: UInt64
        package var head: SnapshotHead?
        package var rowCount: UInt64 = 0
        package var byteCount = 0
        /// What is wrong with it.
        package var fault: String?
    }

    package let snapshots: [Snapshot]

    /// - Parameters:
    ///   - isWhole: whether all rows are read; else headers, schemas and footers are.
    ///   - jobs: how many snapshots are read at once.
    package init(_ environment: LogEnvironment, isWhole: Bool = true, jobs: Int = 1) throws {
        let sequences = try SnapshotReader.sequences(environment)
        snapshots = concurrently(sequences.count, jobs: jobs) {
            Self.check(sequences[$0], environment, isWhole: isWhole)
        }
    }

    /// The sequences of those that were read and are good.
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
            snapshot.fault = "\(error)"
        }
        return snapshot
    }
}
