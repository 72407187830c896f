// A file system in memory that remembers what was synced, crashes and fails on demand.
//
// Method
//
// A file keeps its bytes twice: as reads see them and as they were at the last sync. In between it
// keeps, for each 512-byte sector, every content the sector had, in order. A directory keeps its
// names twice, and every change of names in between. So a power loss can be any of the states that
// a disk might be in which reorders, tears and drops unsynced bytes:
//
//   sector     the synced one, the newest, any in between, or garbage; decided by page of 4 KiB or
//              by sector. Bytes that were synced and not changed since are never touched, since a
//              sector is the smallest thing a disk writes. If a sector extends the file, its
//              synced content is zero.
//   length     anything between the shortest and the longest since the last sync
//   names      each creation, renaming and removal since the last sync of its directory kept or
//              lost. A renaming happens in both names or in neither. Syncing a file does not make
//              its name durable, nor does syncing a directory that directory's own name.
//
// A failed sync is final, as on Linux: reads still see the bytes, but the disk forgets that they
// were to be written. A later sync succeeds without them; only writing the sector again helps.
// A failed sync of a directory only leaves its names unsynced.
//
// Mapped bytes live in pages that are coherent with read and write here, so that writers in other
// threads need no lock, as with a real mapping. The model
// looks for changed sectors when it needs them. It cannot see by itself a state that
// was overwritten in between: `noteMappedBytes()` makes it record the present state.
//
// A crash starts a new life. Handles, mappings and locks of the old one are dead: they throw EBADF,
// and storing into an old mapping changes nothing. A process crash keeps all bytes and names,
// synced or not; what was not synced can still be lost to power in a later life.
//
// All randomness comes from the caller's generator or the disk's own seed; nothing depends on
// the order of a hash table. Not modelled: links, permissions, times, "..", renaming a directory
// over another, writing to a copy that shares blocks. The working directory is the root, which exists
// and is durable.

package import EventLog
import Glibc

/// A disk for crash tests.
package final class SimulatedDisk: Disk {
    package enum Crash: Sendable, CaseIterable {
        /// The process dies; the page cache survives.
        case process
        /// The machine dies; what was not synced survives in part or not at all.
        case power
    }

    let state: Lock<State>
    private let reserving = Locked<(@Sendable () -> Void)?>(nil)

    /// A new, empty disk. The seed decides only how much of a short write is written. If only one thread uses the disk and
    /// its mappings, pass false for `isSharedByThreads`: that makes mappings cheaper.
    package init(seed: UInt64 = 0, isSharedByThreads: Bool = true) {
        state = Lock(
            State(random: SeededRandom(seed: seed), isSharedByThreads: isSharedByThreads))
    }

    private init(copying copied: State) {
        state = Lock(copied)
    }

    /// Ends this life of the disk's user. Its open files are dead; the disk can be used again.
    package func crash<R: RandomNumberGenerator>(_ kind: Crash, using random: inout R) {
        state.withLock { state in
            switch kind {
            case .process: state.killProcess()
            case .power: state.losePower(using: &random)
            }
        }
    }

    /// A second disk in the same state, with nothing open, nothing locked and no failure ahead, so
    /// that one state can be crashed in many ways.
    package func snapshot() -> SimulatedDisk {
        let copied = state.withLock { state in
            var copied = state
            copied.killProcess()
            copied.faults = Faults()
            return copied
        }
        return SimulatedDisk(copying: copied)
    }

    /// Records what is in mapped memory now, as when the kernel writes pages back by
    /// itself: a power loss may bring back this state even after it was overwritten.
    package func noteMappedBytes() {
        state.withLock { state in
            for node in state.files.keys.sorted() { state.files[node]?.absorb() }
        }
    }

    /// Runs before space is reserved for mapped bytes. It stands for the work of another thread at that moment.
    package var beforeReserving: (@Sendable () -> Void)? {
        get { reserving.withLock { $0 } }
        set { reserving.withLock { $0 = newValue } }
    }

    /// How many bytes all files together may hold. A write beyond it is cut short with ENOSPC.
    package var capacity: Int? {
        get { state.withLock { $0.capacity } }
        set { state.withLock { $0.capacity = newValue } }
    }

    /// Whether ``operations`` are kept and counted by kind.
    package var keepsTrace: Bool {
        get { state.withLock { $0.keepsTrace } }
        set { state.withLock { $0.keepsTrace = newValue } }
    }

    /// The answer of ``supportsSharedMapping(_:)``.
    package var supportsSharedMapping: Bool {
        get { state.withLock { $0.supportsSharedMapping } }
        set { state.withLock { $0.supportsSharedMapping = newValue } }
    }

    /// How many files may be open at the same time, as by `ulimit -n`.
    package var openFileLimit: Int {
        get { state.withLock { $0.openFiles.limit } }
        set { state.withLock { $0.openFiles.limit = newValue } }
    }

    /// The most files that were open at the same time.
    package var mostOpenFiles: Int { state.withLock { $0.openFiles.most } }

    /// Whether copies can share the blocks of a file. It is asked for when a file is mapped.
    package var canShareBlocks: Bool {
        get { state.withLock { $0.canShareBlocks } }
        set { state.withLock { $0.canShareBlocks = newValue } }
    }
}

// MARK: - The disk as a store sees it

extension SimulatedDisk {
    package func createDirectory(_ path: String) throws(SystemError) {
        try perform(.createDirectory, path) { state throws(SystemError) in
            try state.createDirectory(path)
        }
    }

    package func list(_ path: String) throws(SystemError) -> [String] {
        try perform(.list, path) { state throws(SystemError) in try state.list(path) }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        let (node, life) = try perform(.open, path) { state throws(SystemError) in
            let node = try state.openFile(path, mode)
            try state.countOpenFile(path)
            return (node, state.life)
        }
        return SimulatedFile(self, path, node: node, life: life, isWritable: mode != .read)
    }

    package func rename(_ source: String, to target: String) throws(SystemError) {
        try perform(.rename, source) { state throws(SystemError) in
            try state.rename(source, to: target)
        }
    }

    package func remove(_ path: String) throws(SystemError) {
        try perform(.remove, path) { state throws(SystemError) in try state.remove(path) }
    }

    package func exists(_ path: String) throws(SystemError) -> Bool {
        try perform(.exists, path) { state throws(SystemError) in
            try state.node(at: path) != nil
        }
    }

    package func byteCount(of path: String) throws(SystemError) -> Int? {
        try perform(.byteCount, path) { state throws(SystemError) in
            try state.node(at: path).map { state.byteCount(of: $0) }
        }
    }

    package func synchronizeDirectory(_ path: String) throws(SystemError) {
        try perform(.synchronizeDirectory, path) { state throws(SystemError) in
            try state.synchronizeDirectory(path)
        }
    }

    package func map(
        _ path: String, byteCount: Int, writable: Bool
    ) throws(SystemError) -> any MappedBytes {
        let (node, life, pages) = try perform(.map, path) { state throws(SystemError) in
            let node = try state.openFile(path, writable ? .readWrite : .read)
            return (node, state.life, try state.map(node, byteCount: byteCount, path))
        }
        return SimulatedMapping(
            self, path, node: node, life: life, pages, byteCount: byteCount, writable: writable)
    }

    package func supportsSharedMapping(_ directory: String) -> Bool {
        supportsSharedMapping
    }

    package func lock(_ path: String) throws(SystemError) -> Locking {
        try lock(path) { state throws(SystemError) in try state.takeLock(path) }
    }

    package func lockDirectory(_ path: String) throws(SystemError) -> Locking {
        try lock(path) { state throws(SystemError) in try state.takeDirectoryLock(path) }
    }

    private func lock(
        _ path: String, _ take: (inout State) throws(SystemError) -> Int?
    ) throws(SystemError) -> Locking {
        let taken = try perform(.lock, path) { state throws(SystemError) -> (Int, Int)? in
            guard let node = try take(&state) else { return nil }
            return (node, state.life)
        }
        guard let (node, life) = taken else { return .heldHere }
        return .taken(SimulatedLock(self, node: node, life: life))
    }

    package func hold(_ path: String) throws(SystemError) -> any Held {
        let (node, life) = try perform(.hold, path) { state throws(SystemError) in
            (try state.existing(path), state.life)
        }
        return SimulatedHold(self, node: node, life: life)
    }

    /// This disk itself: names start at the root here, also while a directory is moved.
    package func entering(_ path: String) throws(SystemError) -> any Disk { self }

    func standing(
        of node: Int, at path: String, life: Int
    ) throws(SystemError) -> Standing {
        try perform(.standing, path, life: life) { state throws(SystemError) in
            // If the directory is gone, the name is gone.
            guard let named = try? state.node(at: path) else { return .missing }
            return named == node ? .inPlace : .replaced
        }
    }

    /// Counts and logs an operation, fails it if that is due, and otherwise does it.
    func perform<T: Sendable>(
        _ kind: DiskOperation, _ path: String, life: Int? = nil,
        _ body: (inout State) throws(SystemError) -> T
    ) throws(SystemError) -> T {
        try state.withLock { state throws(SystemError) in
            if let fault = try state.begin(kind, path, life: life) {
                throw SystemError(call: kind.rawValue, path: path, code: fault.code)
            }
            return try body(&state)
        }
    }
}

// MARK: - The disk as a test sees it

extension SimulatedDisk {
    /// The bytes that a read would see; nil if there is no such file. Does not count as an operation.
    package func readAll(_ path: String) -> [UInt8]? {
        state.withLock { state in
            guard let node = try? state.node(at: path) else { return nil }
            state.files[node]?.absorb()
            return state.files[node]?.current
        }
    }

    /// Makes the file hold these bytes. They and the name are durable, as if the file had always held them.
    /// Handles and mappings that are open keep the old file. The directory must exist.
    package func overwrite(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
        try state.withLock { state throws(SystemError) in try state.overwrite(path, bytes) }
    }

    /// Changes one byte, durably: exclusive or with `mask`.
    package func flip(_ path: String, at offset: Int, mask: UInt8 = 0xFF) throws(SystemError) {
        guard var bytes = readAll(path), bytes.indices.contains(offset) else {
            throw SystemError(call: "flip", path: path, code: ENOENT)
        }
        bytes[offset] ^= mask
        try overwrite(path, bytes)
    }

    /// Changes bytes of the file itself, as a stray pointer, a bad page or a copy over the file does: handles and
    /// mappings that are open see them.
    package func changeInPlace(_ path: String, at offset: Int, _ bytes: [UInt8]) {
        state.withLock { state in
            guard let node = try? state.node(at: path) else { return }
            state.files[node]?.write(bytes, at: offset)
        }
    }

    /// Cuts the file itself, which a restore of a copy over it does first.
    package func cutInPlace(_ path: String, to byteCount: Int) {
        state.withLock { state in
            guard let node = try? state.node(at: path) else { return }
            state.files[node]?.truncate(to: byteCount)
        }
    }

    /// Renames a file, or a directory with its content, durably, as `mv` does. Open files
    /// go with it.
    package func move(_ path: String, to target: String) throws(SystemError) {
        try state.withLock { state throws(SystemError) in try state.move(path, to: target) }
    }

    /// Removes a directory with its content, durably. Open files stay usable.
    package func eraseAll(_ path: String) throws(SystemError) {
        try state.withLock { state throws(SystemError) in try state.erase(path) }
    }

    /// Copies a directory with its content, durably, as `cp -r` does.
    package func copyAll(_ path: String, to target: String) throws(SystemError) {
        try createDirectory(target)
        for name in try list(path) {
            let (source, copy) = ("\(path)/\(name)", "\(target)/\(name)")
            if let bytes = readAll(source) {
                try overwrite(copy, bytes)
            } else {
                try copyAll(source, to: copy)
            }
        }
    }

    /// Makes a copy of a file that shares its blocks, durably, as `cp --reflink` does. The copy takes no space, until a page
    /// of the file is written: by a call, by a reservation, or by a store into a mapping.
    package func share(_ path: String, with copy: String) throws(SystemError) {
        try state.withLock { state throws(SystemError) in try state.share(path, with: copy) }
    }

    /// Whether a mapped page that shares its blocks was stored to while there was no space. A real disk ends the process
    /// there (SIGBUS).
    package var hasStoredWithoutRoom: Bool { state.withLock { $0.hasStoredWithoutRoom() } }

    /// Removes the file, durably.
    package func erase(_ path: String) throws(SystemError) {
        try state.withLock { state throws(SystemError) in try state.erase(path) }
    }

    /// The paths of all files, from the root, sorted.
    package var allFiles: [String] {
        state.withLock { $0.paths(below: State.root, prefix: "").sorted() }
    }

    /// The bytes of all files together.
    package var usedBytes: Int { allFiles.reduce(0) { $0 + (readAll($1)?.count ?? 0) } }
}
