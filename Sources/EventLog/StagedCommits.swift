extension LogInspection {
    /// All complete commits in staging, in the order of sequences, even those that segments hold too or that recovery
    /// would not take. Salvage needs all of them. Empty if staging cannot be read.
    package static func stagedCommits(
        _ environment: LogEnvironment
    ) throws(LogError) -> [StagedCommit] {
        guard case .image(let image) = try StagingImage.read(environment) else { return [] }
        return StagedFile(image).commits.map(\.commit).sorted {
            $0.firstSequence < $1.firstSequence
        }
    }
}

/// The content of a staging file of any store, read by itself.
package struct StagedFile: Sendable {
    package let header: StagingHeader
    /// The last sequence that its writer published as readable; nil if that is damaged.
    package let published: UInt64?
    /// The complete commits, in the order of the file.
    package private(set) var commits: [(commit: LogInspection.StagedCommit, offset: Int)] = []
    /// The damage in it.
    package private(set) var findings: [Finding] = []

    /// - Throws: ``LogError/unsupported(path:_:)`` and ``LogError/corrupt(_:)`` if its header is no good;
    ///   ``LogError/missing(path:)`` if there is no such file.
    package init(_ path: String, on disk: any Disk) throws(LogError) {
        switch try StagingImage.read(path, on: disk, of: nil) {
        case .image(let image): self.init(image)
        case .absent: throw .missing(path: path)
        case .unusable(let fault) where fault.isNewer: throw .unsupported(path: path, fault)
        case .unusable(let fault):
            throw .corrupt(
                Corruption(
                    path: path, offset: 0, firstLost: 1,
                    reason: "the header of the staging file is damaged: \(fault)",
                    evidence: .headerLost))
        }
    }

    init(_ image: StagingImage) {
        header = image.header
        published = image.published?.readable
        image.forEachCommit { found in
            let staged = found.commit
            let commit = LogInspection.StagedCommit(
                firstSequence: staged.firstSequence, count: staged.count, time: staged.time,
                records: unsafe Array(staged.records))
            commits.append((commit, found.offset))
        }
        findings = image.damagedCommits.map { found in
            Finding(
                severity: .corrupt, path: image.path, offset: found.offset,
                lost: found.commit.firstSequence...found.commit.nextSequence - 1,
                reason: "the records of the commit do not match their checksum")
        }
        findings += image.damagedSlots.map { offset in
            Finding(
                severity: .corrupt, path: image.path, offset: offset, lost: nil,
                reason: "both headers of a slot are damaged")
        }
    }
}
