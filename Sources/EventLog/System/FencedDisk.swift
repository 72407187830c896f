// How a store notices that it is no longer alone or no longer where it was.
//
// An operator may remove or replace a running store's files: `rm LOCK`, `rm -rf`, `mv store old; cp -r backup
// store`, a restore over it, a mount on top of it. Two histories come of that if the first writer goes on. So
//
// - the writer holds two locks, LOCK's and that of the directory itself: without LOCK, or with another one, a
//   second writer is refused as well;
// - it finds its files from the directory that it has open, not by the directory's name: whatever that
//   name means by now, it never writes into another store's files;
// - before it creates, renames or removes a file, and after each sync (so before anybody learns that
//   something is durable), it compares what it holds with what the names say: the directory, LOCK,
//   staging and `log/`; SegmentWriter.swift does so for the active segment. Each is held open, so no
//   inode number passes to another.
//
// What it finds then is the fence: final until the store is opened anew. What a check costs, some five
// `fstatat`, is little beside a sync, and writers of rows never pay it.

/// The disk of the one writer of a store.
package final class FencedDisk: Disk {
    private struct State {
        var locks: [any Held] = []
        var held: [(path: String, thing: any Held)] = []
        var fence: SystemError?
    }

    private let disk: any Disk
    private let layout: StoreLayout
    private let state: Lock<State>

    /// Names that change through this disk alone.
    private var watched: [String] { [layout.lock, layout.log, layout.staging] }

    private init(_ disk: any Disk, _ layout: StoreLayout, _ state: consuming sending State) {
        self.disk = disk
        self.layout = layout
        self.state = Lock(state)
    }

    /// What became of an attempt to be the writer of a directory.
    package enum Taking {
        case taken(FencedDisk)
        case heldHere
        case heldElsewhere
        /// It is not a store's.
        case refused(reason: String)
    }

    /// Takes a store's directory, which exists, for its one writer.
    ///
    /// - Parameter refusal: called with the directory locked and nothing in it touched: why it is not one for a
    ///   store; nil if it is.
    package static func take(
        _ layout: StoreLayout, on disk: any Disk,
        refusal: (any Disk) throws(SystemError) -> String? = { _ in nil }
    ) throws(SystemError) -> Taking {
        var state = State()
        switch try lockDirectory(layout.root, on: disk) {
        case .taken(let lock)?: state.locks.append(lock)
        case .heldHere?: return .heldHere
        case .heldElsewhere?: return .heldElsewhere
        case nil: break
        }
        // By its name from the process's root, to notice when it gets another one.
        state.held.append((layout.root, try disk.hold(layout.root)))
        let inside = try disk.entering(layout.root)
        if let reason = try refusal(inside) { return .refused(reason: reason) }
        switch try inside.lock(layout.lock) {
        case .taken(let lock):
            state.locks.append(lock)
            state.held.append((layout.lock, lock))
        case .heldHere: return .heldHere
        case .heldElsewhere: return .heldElsewhere
        }
        for path in [layout.log, layout.staging] where try inside.exists(path) {
            state.held.append((path, try inside.hold(path)))
        }
        let fenced = FencedDisk(inside, layout, state)
        // The directory could be moved while all this was done.
        try fenced.checkFence()
        return .taken(fenced)
    }

    /// nil where the file system cannot lock directories: then LOCK alone has to do.
    private static func lockDirectory(
        _ path: String, on disk: any Disk
    ) throws(SystemError) -> Locking? {
        do throws(SystemError) {
            return try disk.lockDirectory(path)
        } catch {
            guard error.isUnsupported else { throw error }
            return nil
        }
    }

    /// Lets others have the directory. Nothing can be changed through this disk any more.
    package func release() {
        state.withLock {
            $0.fence = $0.fence ?? SystemError(fenceAt: layout.root, .released)
            $0.locks = []
            $0.held = []
        }
    }

    package func checkFence() throws(SystemError) {
        try state.withLock { state throws(SystemError) in try check(&state) }
    }

    private func check(_ state: inout State) throws(SystemError) {
        if let fence = state.fence { throw fence }
        for (path, thing) in state.held {
            let fence: SystemError
            switch try thing.standing(at: path) {
            case .inPlace: continue
            case .missing: fence = SystemError(fenceAt: path, .missing)
            case .replaced: fence = SystemError(fenceAt: path, .replaced)
            }
            state.fence = fence
            throw fence
        }
    }

    /// Changes names. What a watched name means afterwards is held instead of what it meant before.
    private func change(
        _ path: String, _ body: () throws(SystemError) -> (any Held)?
    ) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            try check(&state)
            let now = try body()
            guard watched.contains(path) else { return }
            state.held.removeAll { $0.path == path }
            if let now { state.held.append((path, now)) }
        }
    }
}

extension FencedDisk {
    package func createDirectory(_ path: String) throws(SystemError) {
        try change(path) { () throws(SystemError) in
            try disk.createDirectory(path)
            return try disk.hold(path)
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        switch mode {
        case .read: return try disk.open(path, mode)
        case .readWrite: break
        case .createExclusively: try checkFence()
        }
        return FencedFile(try disk.open(path, mode), self)
    }

    package func rename(_ source: String, to target: String) throws(SystemError) {
        try change(target) { () throws(SystemError) in
            let thing = try disk.hold(source)
            try disk.rename(source, to: target)
            return thing
        }
    }

    package func remove(_ path: String) throws(SystemError) {
        try change(path) { () throws(SystemError) in
            try disk.remove(path)
            return nil
        }
    }

    package func synchronizeDirectory(_ path: String) throws(SystemError) {
        try disk.synchronizeDirectory(path)
        try checkFence()
    }

    package func map(
        _ path: String, byteCount: Int, writable: Bool
    ) throws(SystemError) -> any MappedBytes {
        FencedMapping(try disk.map(path, byteCount: byteCount, writable: writable), self)
    }

    package func list(_ path: String) throws(SystemError) -> [String] { try disk.list(path) }

    package func exists(_ path: String) throws(SystemError) -> Bool { try disk.exists(path) }

    package func byteCount(of path: String) throws(SystemError) -> Int? {
        try disk.byteCount(of: path)
    }

    package func supportsSharedMapping(_ directory: String) -> Bool {
        disk.supportsSharedMapping(directory)
    }

    package func lock(_ path: String) throws(SystemError) -> Locking { try disk.lock(path) }

    package func lockDirectory(_ path: String) throws(SystemError) -> Locking {
        try disk.lockDirectory(path)
    }

    package func hold(_ path: String) throws(SystemError) -> any Held { try disk.hold(path) }

    package func entering(_ path: String) throws(SystemError) -> any Disk {
        try disk.entering(path)
    }
}

private final class FencedFile: DiskFile {
    private let file: any DiskFile
    private let disk: FencedDisk

    init(_ file: any DiskFile, _ disk: FencedDisk) { (self.file, self.disk) = (file, disk) }

    var path: String { file.path }
    func byteCount() throws(SystemError) -> Int { try file.byteCount() }

    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int {
        try file.read(into: &bytes, at: offset)
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        try file.write(bytes, at: offset)
    }

    func write(zeros count: Int, at offset: Int) throws(SystemError) {
        try file.write(zeros: count, at: offset)
    }

    func synchronize() throws(SystemError) {
        try file.synchronize()
        try disk.checkFence()
    }

    func truncate(to byteCount: Int) throws(SystemError) { try file.truncate(to: byteCount) }
    func dropCache() { file.dropCache() }

    func standing(at path: String) throws(SystemError) -> Standing {
        try file.standing(at: path)
    }
}

private final class FencedMapping: MappedBytes {
    private let mapping: any MappedBytes
    private let disk: FencedDisk

    init(_ mapping: any MappedBytes, _ disk: FencedDisk) {
        (self.mapping, self.disk) = (mapping, disk)
    }

    @unsafe var bytes: UnsafeMutableRawBufferPointer { unsafe mapping.bytes }

    func synchronize(_ range: Range<Int>) throws(SystemError) {
        try mapping.synchronize(range)
        try disk.checkFence()
    }

    func reserve(_ range: Range<Int>) throws(SystemError) { try mapping.reserve(range) }
}
