package import EventLog

/// A wrapper of another disk that makes chosen operations fail. For real files; a ``SimulatedDisk`` can fail without it.
package final class FailingDisk: Disk {
    private let disk: any Disk
    private let faults: Locked<(count: Int, faults: SimulatedDisk.Faults)>
    private let before: @Sendable () -> Void

    /// - Parameter before: runs before each operation, on the thread that calls it.
    package init(_ disk: any Disk, before: @escaping @Sendable () -> Void = {}) {
        self.disk = disk
        self.before = before
        faults = Locked((count: 0, faults: SimulatedDisk.Faults()))
    }

    private init(_ disk: any Disk, _ other: FailingDisk) {
        self.disk = disk
        faults = other.faults
        before = other.before
    }

    /// Fails the `n`-th operation from now on (1 is the next), and every later one if `permanently`.
    package func fail(at n: Int, with fault: Fault, permanently: Bool) {
        faults.withLock { $0.faults.counted = .init(left: n, fault, permanently) }
    }

    /// Fails all operations of one kind from now on.
    package func failAll(_ kind: DiskOperation, with fault: Fault) {
        faults.withLock { $0.faults.named.append(.init(kind, "", fault, left: .max)) }
    }

    /// How many operations were counted so far.
    package var operationCount: Int { faults.withLock { $0.count } }

    fileprivate func begin(_ kind: DiskOperation, _ path: String) throws(SystemError) {
        before()
        let due = faults.withLock { state in
            state.count += 1
            return state.faults.next(kind, path)
        }
        if let due { throw SystemError(call: kind.rawValue, path: path, code: due.code) }
    }

    package func createDirectory(_ path: String) throws(SystemError) {
        try begin(.createDirectory, path)
        try disk.createDirectory(path)
    }

    package func list(_ path: String) throws(SystemError) -> [String] {
        try begin(.list, path)
        return try disk.list(path)
    }

    package func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        try begin(.open, path)
        return FailingFile(self, try disk.open(path, mode))
    }

    package func rename(_ source: String, to target: String) throws(SystemError) {
        try begin(.rename, source)
        try disk.rename(source, to: target)
    }

    package func remove(_ path: String) throws(SystemError) {
        try begin(.remove, path)
        try disk.remove(path)
    }

    package func exists(_ path: String) throws(SystemError) -> Bool {
        try begin(.exists, path)
        return try disk.exists(path)
    }

    package func byteCount(of path: String) throws(SystemError) -> Int? {
        try begin(.byteCount, path)
        return try disk.byteCount(of: path)
    }

    package func synchronizeDirectory(_ path: String) throws(SystemError) {
        try begin(.synchronizeDirectory, path)
        try disk.synchronizeDirectory(path)
    }

    package func map(
        _ path: String, byteCount: Int, writable: Bool
    ) throws(SystemError) -> any MappedBytes {
        try begin(.map, path)
        return try disk.map(path, byteCount: byteCount, writable: writable)
    }

    package func supportsSharedMapping(_ directory: String) -> Bool {
        disk.supportsSharedMapping(directory)
    }

    package func lock(_ path: String) throws(SystemError) -> Locking {
        try begin(.lock, path)
        return try disk.lock(path)
    }

    package func lockDirectory(_ path: String) throws(SystemError) -> Locking {
        try begin(.lock, path)
        return try disk.lockDirectory(path)
    }

    package func hold(_ path: String) throws(SystemError) -> any Held {
        try begin(.hold, path)
        return try disk.hold(path)
    }

    package func checkFence() throws(SystemError) {
        before()
        try disk.checkFence()
    }

    package func entering(_ path: String) throws(SystemError) -> any Disk {
        try begin(.open, path)
        return FailingDisk(try disk.entering(path), self)
    }
}

private final class FailingFile: DiskFile {
    private let disk: FailingDisk
    private let file: any DiskFile

    init(_ disk: FailingDisk, _ file: any DiskFile) { (self.disk, self.file) = (disk, file) }

    var path: String { file.path }

    func byteCount() throws(SystemError) -> Int {
        try disk.begin(.byteCount, path)
        return try file.byteCount()
    }

    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int {
        try disk.begin(.read, path)
        return try file.read(into: &bytes, at: offset)
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        do throws(SystemError) {
            try disk.begin(.write, path)
        } catch {
            try file.write(bytes.extracting(first: bytes.count / 2), at: offset)
            throw error
        }
        try file.write(bytes, at: offset)
    }

    func write(zeros count: Int, at offset: Int) throws(SystemError) {
        try disk.begin(.write, path)
        try file.write(zeros: count, at: offset)
    }

    func synchronize() throws(SystemError) {
        try disk.begin(.synchronize, path)
        try file.synchronize()
    }

    func truncate(to byteCount: Int) throws(SystemError) {
        try disk.begin(.truncate, path)
        try file.truncate(to: byteCount)
    }

    func dropCache() { file.dropCache() }

    func standing(at path: String) throws(SystemError) -> Standing {
        try file.standing(at: path)
    }
}
