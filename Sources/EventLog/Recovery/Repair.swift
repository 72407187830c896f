// Repairs a log, so that it can be continued.
//
// Nothing is repaired in place, and page cache is not trusted after an unclean end: the last segment
// is rewritten (its good blocks, then staging's commits, footer), synced, verified and renamed over
// the old one. The bytes that are cut off are kept in `aside/`. Only then are sequence numbers assigned, after
// a fresh staging file with a new salt has replaced the old one.
//
// Each step leaves a state that recovery, run again, turns into the same result:
//
//   state on disk                         what running again does
//   nothing done                          all of it
//   temporaries removed in part           removes the others
//   copy in `aside/` written in part      goes on with it
//   temporary segment written             removes it, writes it again
//   leftovers of a merge removed in part  removes the others (SegmentMerge.swift)
//   last segment replaced                 finds it sealed; staging's commits are in it; rewrites it
//   staging replaced                      finds no commits
//   clean-end removed                     nothing

/// Carries out the steps that a ``Judge`` has planned.
struct Repair {
    private static let pieceLength = 1 << 20
    private let judge: Judge
    private let environment: LogEnvironment
    private let options: LogOptions
    private(set) var report = RecoveryReport()

    init(_ judge: Judge, options: LogOptions) {
        self.judge = judge
        environment = judge.environment
        self.options = options
        report = RecoveryReport(judge.judgement)
    }

    /// How many bytes ``run()`` writes at most.
    func roomNeeded() throws(LogError) -> Int {
        var count = 0
        if judge.isStagingUnusable {
            let path = environment.layout.staging
            count +=
                try onDisk { () throws(SystemError) in
                    try environment.disk.byteCount(of: path)
                } ?? 0
        }
        guard judge.needsRewriting else { return count }
        if let last = judge.last { count += last.fileByteCount - last.end }
        for stray in judge.strays { count += stray.commit.byteCount }
        count += judge.stillborn?.byteCount ?? 0
        return count + SegmentRewrite.roomNeeded(judge.last, appending: judge.staged, judge.end)
    }

    /// Makes the log complete and durable. Nothing is repaired in place.
    mutating func run() throws(LogError) {
        assert(judge.judgement.damage == nil)
        try removeTemporaries()
        if !judge.leftovers.isEmpty { try SegmentMerge.remove(judge.leftovers, environment) }
        if judge.isStagingUnusable { try keepFile(environment.layout.staging, as: "staging") }
        guard judge.needsRewriting else { return }
        report.wasUnclean = true
        try keepWhatIsCutOff()
        if let stillborn = judge.stillborn {
            try onDisk { () throws(SystemError) in try environment.disk.remove(stillborn.path) }
        }
        let epoch = judge.staging?.header.epoch ?? judge.last?.segment.header.epoch ?? 0
        try SegmentRewrite(environment, options: options, epoch: epoch)
            .replace(
                judge.last, appending: judge.staged, segmentsEnd: judge.segmentsEnd, end: judge.end)
        // Syncs the names of files that were removed, created or replaced, and those of earlier segments.
        try onDisk { () throws(SystemError) in
            try environment.disk.synchronizeDirectory(environment.layout.log)
        }
    }

    private func removeTemporaries() throws(LogError) {
        try onDisk { () throws(SystemError) in
            for path in judge.temporaries { try environment.disk.remove(path) }
        }
    }

    private mutating func keepWhatIsCutOff() throws(LogError) {
        if let last = judge.last, last.end < last.fileByteCount {
            // It gets a header, so that it can be read by itself, because checksums are seeded with the segment's salt.
            var header = last.segment.header
            (header.kind, header.base, header.chain) = (.cutOff, last.nextSequence, last.chain)
            try keep("segment-tail") { (write) throws(LogError) in
                try write(header.encoded())
                var offset = last.end
                while offset < last.fileByteCount {
                    let bytes = try last.segment.read(Self.pieceLength, at: offset)
                    guard !bytes.isEmpty else { return }
                    try write(bytes)
                    offset += bytes.count
                }
            }
        }
        if let staging = judge.staging, !judge.strays.isEmpty {
            let slots = staging.slots(holding: judge.strays)
            try keep("staged-commits") { (write) throws(LogError) in
                try write(staging.header(ofCopyWith: slots.count))
                for slot in slots { try write(staging.copy(ofSlot: slot)) }
            }
        }
        if let stillborn = judge.stillborn { try keepFile(stillborn.path, as: "segment-header") }
    }

    private mutating func keepFile(_ path: String, as what: String) throws(LogError) {
        let file = try onDisk { () throws(SystemError) in try environment.disk.open(path, .read) }
        try keep(what) { (write) throws(LogError) in
            var offset = 0
            while true {
                let bytes = try onDisk { () throws(SystemError) in
                    try file.bytes(Self.pieceLength, at: offset)
                }
                guard !bytes.isEmpty else { return }
                try write(bytes)
                offset += bytes.count
            }
        }
    }

    private typealias Filling = (_ write: ([UInt8]) throws(LogError) -> Void) throws(LogError) ->
        Void

    /// Writes a file into `aside/` and syncs it, with its name.
    ///
    /// If a later step fails, the next try comes here again. It goes on with the copy that is there, so that
    /// repeated tries take no more room than the first.
    private mutating func keep(_ what: String, _ fill: Filling) throws(LogError) {
        let (disk, layout) = (environment.disk, environment.layout)
        let (path, isThere) = try place(for: what, fill)
        do throws(LogError) {
            let file = try onDisk { () throws(SystemError) in
                try disk.open(path, isThere ? .readWrite : .createExclusively)
            }
            let zeros = [UInt8](repeating: 0, count: Self.pieceLength)
            var offset = 0
            try fill { (bytes) throws(LogError) in
                // Zeros are left out, because a hole takes no room, and staging is mostly zeros.
                if bytes.count != zeros.count || bytes.span.compared(with: zeros.span) != 0 {
                    try onDisk { () throws(SystemError) in try file.write(bytes.span, at: offset) }
                }
                offset += bytes.count
            }
            try onDisk { () throws(SystemError) in
                try file.truncate(to: offset)
                try file.synchronize()
                try disk.synchronizeDirectory(layout.aside)
            }
        } catch {
            // The original is still in its place.
            if !isThere { try? disk.remove(path) }
            throw error
        }
        report.cutOff.append(path)
    }

    /// The path of a copy: the one under which an earlier try began it, otherwise a free one.
    private func place(
        for what: String, _ fill: Filling
    ) throws(LogError) -> (path: String, isThere: Bool) {
        var number = 0
        while true {
            let path = environment.layout.cutOff(
                what, at: judge.end.nextSequence, number: number)
            let isThere = try onDisk { () throws(SystemError) in try environment.disk.exists(path) }
            if !isThere { return (path, false) }
            if try isBeginning(path, of: fill) { return (path, true) }
            number += 1
        }
    }

    /// Whether a file holds the bytes to be kept, or the first part of them.
    private func isBeginning(_ path: String, of fill: Filling) throws(LogError) -> Bool {
        let file = try onDisk { () throws(SystemError) in try environment.disk.open(path, .read) }
        let byteCount = try onDisk { () throws(SystemError) in try file.byteCount() }
        var (offset, isSame) = (0, true)
        try fill { (bytes) throws(LogError) in
            let count = min(bytes.count, byteCount - offset)
            guard isSame, count > 0 else { return }
            let found = try onDisk { () throws(SystemError) in try file.bytes(count, at: offset) }
            isSame = found.elementsEqual(bytes.prefix(count))
            offset += count
        }
        return isSame && offset == byteCount
    }
}
