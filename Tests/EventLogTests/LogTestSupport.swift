import EventLog
import TestSupport

extension LogHarness {
    static var layout: StoreLayout { StoreLayout(root: root) }

    /// The paths of the segments on a disk, ascending.
    static func segments(on disk: SimulatedDisk) -> [String] {
        disk.allFiles.map { "/" + $0 }.filter { $0.hasPrefix(layout.log) && $0.hasSuffix(".zst") }
    }

    var segments: [String] { Self.segments(on: disk) }

    /// Appends commits, letting the flusher make room where there is none.
    func append(commits: Int, count: UInt32 = 1, byteCount: Int = 40) throws {
        for _ in 0..<commits {
            while try !append(count: count, byteCount: byteCount) { flush() }
        }
    }

    /// Staging as power loss may leave it: nothing in its slots.
    func eraseStagedCommits() throws {
        let path = Self.layout.staging
        guard let bytes = disk.readAll(path) else { return }
        let zeros = [UInt8](repeating: 0, count: bytes.count - StagingHeader.byteCount)
        try disk.overwrite(path, bytes.prefix(StagingHeader.byteCount) + zeros)
    }

    /// A harness over another state of the disk, with the same list of appended commits.
    static func opened(
        _ disk: SimulatedDisk, options: LogOptions, witnesses: [Witness] = []
    ) throws -> Log {
        let harness = LogHarness(disk: disk, seed: 77, options: options)
        return try harness.open(witnesses: witnesses)
    }
}

extension LogOptions {
    /// Sizes that make whole stores of a few thousand bytes, so that each byte can be damaged.
    static var tiny: LogOptions {
        var options = LogOptions.small
        options.slotSize = 512
        options.blockSize = 160
        options.rawBlockBound = 512
        options.segmentSize = 900
        return options
    }
}

/// The error that `body` throws; nil when it throws none or one of another type.
func logError(_ body: () throws -> Void) -> LogError? {
    do {
        try body()
        return nil
    } catch {
        return error as? LogError
    }
}
