package import EventLog

extension StoreHistory {
    /// The snapshots as witnesses of the log: everything through the newest one was durable. A snapshot gets its
    /// name only when it is complete and synced, so its header and footer are enough evidence.
    package static func witnesses(_ environment: LogEnvironment) throws(SnapshotError) -> [Witness]
    {
        for sequence in try SnapshotReader.sequences(environment).reversed() {
            do throws(SnapshotError) {
                let reader = try SnapshotReader(of: sequence, in: environment)
                return [Witness(name: reader.path, sequence: sequence)]
            } catch {
                // A bad snapshot proves nothing. But if it could not be read, that is an error.
                if case .system = error { throw error }
            }
        }
        return []
    }
}
