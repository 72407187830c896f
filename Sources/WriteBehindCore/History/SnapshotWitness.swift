package import EventLog

extension StoreHistory {
    /// The snapshots as witnesses of the log: everything through the newest was durable. A snapshot gets its
    /// name only once it is whole and synced, so its header and footer are evidence enough.
    package static func witnesses(_ environment: LogEnvironment) throws(SnapshotError) -> [Witness]
    {
        for sequence in try SnapshotReader.sequences(environment).reversed() {
            do throws(SnapshotError) {
                let reader = try SnapshotReader(of: sequence, in: environment)
                return [Witness(name: reader.path, sequence: sequence)]
            } catch {
                // A bad snapshot proves nothing; that it could not be read is another matter.
                if case .system = error { throw error }
            }
        }
        return []
    }
}
