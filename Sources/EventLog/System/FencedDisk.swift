// How a store notices that its files were moved or replaced, or that another process may have them.
//
// An operator may remove or replace a running store's files: `rm LOCK`, `rm -rf`, `mv store old; cp -r backup
// store`, a restore over it, a mount on top of it. If the first writer went on, there would be two histories. So
//
// - the writer holds two locks, one on LOCK and one on the directory itself: if LOCK is removed or replaced, a
//   second writer is refused nevertheless;
// - it finds its files from the directory that it has open, not by the directory's path: even if the
//   path leads elsewhere by now, it never writes into another store's files;
// - before it creates, renames or removes a file, and after each sync (so before any caller gets to know that
//   something is durable), it compares the files that it holds with those at their paths: the directory, LOCK,
//   staging and `log/`; SegmentWriter.swift does so for the active segment. Each is held open, so that no
//   other file gets its inode number.
//
// If they differ, the store is *fenced*: it writes nothing more until it is opened again. A check costs some five
// `fstatat`. That is little beside a sync, and writers of rows never pay it.

/// The disk of the one writer of a store.
package final class FencedDisk: Disk {
    private struct State {
        /// nil once everything is closed.
        var disk: (any Disk)?
        /// Its open files, so that they can be closed even if something still refers to them.
        var handles: [ObjectIdentifier: WeakHandle] = [:]
        var locks: [any Held] = []
        var held: [(path: String, thing: any Held)] = []
        var fence: SystemError?
    }

    private let layout: StoreLayout
    private let state: Lock<State>

    /// Paths that only this disk may change.
    private var watched: [String] { [layout.lock, layout.log, layout.staging] }

    private init(_ layout: StoreLayout, _ state: consuming sending State) {
        self.layout = layout
        self.state = Lock(state)
    }

    /// The outcome of an attempt to be the writer of a directory.
    package enum Taking {
        case taken(FencedDisk)
        case heldHere
        case heldElsewhere
        /// It is not the directory of a store.
        case refused(reason: String)
    }

    /// Takes a store's directory, which must exist, for its one writer.
    ///
    /// - Parameter refusal: why the directory is not one for a store; nil if it is. It is called when the directory is
    ///   locked, before anything in it is touched.
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
        // Held by its full path, to notice when the directory is moved.
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
        state.disk = inside
        let fenced = FencedDisk(layout, state)
        // The directory could have been moved meanwhile.
        try fenced.checkFence()
        return .taken(fenced)
    }

    /// nil if the file system cannot lock directories. Then only LOCK protects the store.
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

    /// Closes every file that was opened through this disk, even if something still refers to it, and unlocks
    /// the directory. It waits for calls that are running. Every later call throws that the disk is closed.
    package func release() {
        let handles = state.withLock { state in
            state.fence = state.fence ?? SystemError(fenceAt: layout.root, .closed)
            state.disk = nil
            state.held = []
            defer { state.handles = [:] }
            return state.handles.values.compactMap(\.handle)
        }
        for handle in handles { handle.close() }
        // Done last, so that this process has no file open any more when a new writer gets the lock.
        state.withLock { $0.locks = [] }
    }

    private var disk: any Disk {
        get throws(SystemError) {
            try state.withLock { state throws(SystemError) in
                guard let disk = state.disk else {
                    throw SystemError(fenceAt: layout.root, .closed)
                }
                return disk
            }
        }
    }

    /// Records an open file. If the disk was released meanwhile, closes the file.
    private func note(_ handle: any FencedHandle) throws(SystemError) {
        let isOpen = state.withLock { state in
            if state.disk != nil {
                state.handles[ObjectIdentifier(handle)] = WeakHandle(handle: handle)
            }
            return state.disk != nil
        }
        guard !isOpen else { return }
        handle.close()
        throw SystemError(fenceAt: layout.root, .closed)
    }

    fileprivate func forget(_ handle: any FencedHandle) {
        state.withLock { $0.handles[ObjectIdentifier(handle)] = nil }
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

    /// Changes names. If another file is at a watched path afterwards, that file is held instead.
    private func change(
        _ path: String, _ body: (any Disk) throws(SystemError) -> (any Held)?
    ) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            try check(&state)
            // Without a disk there is a fence.
            guard let disk = state.disk else { return }
            let now = try body(disk)
            guard watched.contains(path) else { return }
            state.held.removeAll { $0.path == path }
            if let now { state.held.append((path, now)) }
        }
    }
}

extension FencedDisk {
    package func createDirectory(_ path: String) throws(SystemError) {
        try change(path) { (disk) throws(SystemError) in
            try disk.createDirectory(path)
            return try disk.hold(path)
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        if mode == .createExclusively { try checkFence() }
        let file = FencedFile(try disk.open(path, mode), self)
        try note(file)
        return file
    }

    package func rename(_ source: String, to target: String) throws(SystemError) {
        try change(target) { (disk) throws(SystemError) in
            let thing = try disk.hold(source)
            try disk.rename(source, to: target)
            return thing
        }
    }

    package func remove(_ path: String) throws(SystemError) {
        try change(path) { (disk) throws(SystemError) in
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
        let mapping = FencedMapping(
            try disk.map(path, byteCount: byteCount, writable: writable), self)
        try note(mapping)
        return mapping
    }

    package func list(_ path: String) throws(SystemError) -> [String] { try disk.list(path) }

    package func exists(_ path: String) throws(SystemError) -> Bool { try disk.exists(path) }

    package func byteCount(of path: String) throws(SystemError) -> Int? {
        try disk.byteCount(of: path)
    }

    package func supportsSharedMapping(_ directory: String) -> Bool {
        (try? disk)?.supportsSharedMapping(directory) ?? false
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

/// Something that is open and can be closed while references to it still exist.
private protocol FencedHandle: AnyObject, Sendable {
    func close()
}

private struct WeakHandle {
    weak var handle: (any FencedHandle)?
}

private final class FencedFile: DiskFile, FencedHandle {
    let path: String
    private let file: Lock<(any DiskFile)?>
    private let disk: FencedDisk

    init(_ file: any DiskFile, _ disk: FencedDisk) {
        path = file.path
        self.file = Lock(file)
        self.disk = disk
    }

    deinit { disk.forget(self) }

    func close() { file.withLock { $0 = nil } }

    private var open: any DiskFile {
        get throws(SystemError) {
            guard let file = file.withLock({ $0 }) else {
                throw SystemError(fenceAt: path, .closed)
            }
            return file
        }
    }

    func byteCount() throws(SystemError) -> Int { try open.byteCount() }

    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int {
        try open.read(into: &bytes, at: offset)
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        try open.write(bytes, at: offset)
    }

    func write(zeros count: Int, at offset: Int) throws(SystemError) {
        try open.write(zeros: count, at: offset)
    }

    func synchronize() throws(SystemError) {
        try open.synchronize()
        try disk.checkFence()
    }

    func truncate(to byteCount: Int) throws(SystemError) { try open.truncate(to: byteCount) }
    func dropCache() { (try? open)?.dropCache() }

    func standing(at path: String) throws(SystemError) -> Standing {
        try open.standing(at: path)
    }
}

private final class FencedMapping: MappedBytes, FencedHandle {
    private let mapping: any MappedBytes
    private let disk: FencedDisk

    init(_ mapping: any MappedBytes, _ disk: FencedDisk) {
        (self.mapping, self.disk) = (mapping, disk)
    }

    deinit { disk.forget(self) }

    func close() { mapping.detach() }

    @unsafe var bytes: UnsafeMutableRawBufferPointer { unsafe mapping.bytes }

    func synchronize(_ range: Range<Int>) throws(SystemError) {
        try mapping.synchronize(range)
        try disk.checkFence()
    }

    var mayShareBlocks: Bool { mapping.mayShareBlocks }
    func reserve(_ range: Range<Int>) throws(SystemError) { try mapping.reserve(range) }
    func detach() { mapping.detach() }
}
