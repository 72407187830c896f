import ArgumentParser
import Foundation
import TestSupport

/// Cuts the power of a disk, and checks what must be on it afterwards.
///
/// The tested file system is in a file, and that file on an XFS that can clone it: `disk.img` on `shelf/`,
/// itself in `shelf.img`. A clone under load is what the disk would hold if power failed at that
/// instant and the disk lost none of the writes it was given. So this proves that the store syncs what
/// it reports as durable, through a real file system and the replay of its journal. A copy with `cp`
/// would not do: it takes a second, in which it may contain a later write and miss an earlier one that was synced
/// before, which no disk does. Disks that drop or reorder writes between two flushes are not
/// covered here; the simulated disk of the tests covers them.
struct PowerParent {
    let root: String
    let seed: UInt64
    private let shelf: LoopDisk
    private let disk: LoopDisk
    private(set) var round = 0
    private(set) var ledger: Ledger
    /// How many acknowledged writes the children waited for as durable, and how many of the others were lost.
    private(set) var durable: UInt64 = 0
    private(set) var lost = 0
    private var random: SeededRandom

    private static let roundsOfStore = 10
    private var store: String { "\(disk.directory)/\(round / Self.roundsOfStore)" }

    init(root: String, seed: UInt64, _ kind: FileSystem) {
        self.root = root
        self.seed = seed
        shelf = LoopDisk(image: root + "/shelf.img", directory: root + "/shelf", kind: .xfs)
        disk = LoopDisk(
            image: shelf.directory + "/disk.img", directory: root + "/disk", kind: kind)
        ledger = Ledger(seed: seed)
        random = SeededRandom(seed: seed)
    }

    /// Ends at once with an error if this machine lacks something.
    static func checkMachine() throws {
        guard geteuid() == 0 else {
            throw ValidationError("--power mounts file systems, for which it must be root.")
        }
        guard FileSystem.here.contains(.xfs) else {
            throw ValidationError("--power needs mkfs.xfs (of the package xfsprogs).")
        }
        guard FileManager.default.fileExists(atPath: "/dev/loop-control") else {
            throw ValidationError("--power needs loop devices; this machine has none.")
        }
    }

    func begin() throws {
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try shelf.create(byteCount: 4 << 30)
        try shelf.mount()
        try disk.create(byteCount: 512 << 20)
        try disk.mount()
    }

    func end() throws {
        try disk.unmount()
        try shelf.unmount()
        try FileManager.default.removeItem(atPath: root)
    }

    /// Unmounts, at the latest when this process ends, and keeps the images.
    func abandon() {
        for disk in [disk, shelf] { disk.detach() }
    }

    mutating func playRound() async throws {
        if round % Self.roundsOfStore == 0 {
            ledger.beginStore()
            if round > 0 {
                try FileManager.default.removeItem(
                    atPath: "\(disk.directory)/\(round / Self.roundsOfStore - 1)")
            }
        }
        let child = try ChildProcess([store, "\(seed)", "\(round)"])
        while child.isRunning, !child.hasSpoken { usleep(500) }
        usleep(.random(in: 0...400_000, using: &random))
        // What was durable, seen and acknowledged before the instant of the copy. Later writes may be on the copy or not.
        let before = child.report
        let copy = shelf.directory + "/copy.img"
        do {
            try disk.copy(to: copy)
        } catch {
            // An open file would keep the disk from being unmounted.
            _ = try? child.kill()
            throw error
        }
        let report = try child.kill()
        try disk.unmount()
        try FileManager.default.removeItem(atPath: disk.image)
        try FileManager.default.moveItem(atPath: copy, toPath: disk.image)
        try disk.mount()
        let acknowledged = ledger.acknowledged
        try await Parent.check(
            store, report, round, &ledger, atLeast: before.durable, following: before)
        durable += UInt64(before.durableCount)
        lost += report.sequences.reduce(0) { $0 + $1.count } - (ledger.acknowledged - acknowledged)
        round += 1
    }
}
