extension LogInspection {
    /// Every commit that staging holds whole, in the order of sequences, whether segments hold it too or recovery
    /// would take it. Salvage needs them all. Empty if staging cannot be read.
    package static func stagedCommits(
        _ environment: LogEnvironment
    ) throws(LogError) -> [StagedCommit] {
        guard case .image(let image) = try StagingImage.read(environment) else { return [] }
        var commits: [StagedCommit] = []
        image.forEachFrame { found in
            let frame = found.frame
            commits.append(
                StagedCommit(
                    firstSequence: frame.firstSequence, count: frame.count, time: frame.time,
                    records: unsafe Array(frame.records)))
        }
        return commits.sorted { $0.firstSequence < $1.firstSequence }
    }
}
