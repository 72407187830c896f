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

    /// - Parameter isWhole: whether all rows are read; else headers, schemas and footers are.
    package init(_ environment: LogEnvironment, isWhole: Bool = true) throws {
        var found: [Snapshot] = []
        for sequence in try SnapshotReader.sequences(environment) {
            found.append(Self.check(sequence, environment, isWhole: isWhole))
        }
        snapshots = found
    }

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
