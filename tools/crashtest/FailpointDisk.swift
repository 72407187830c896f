import EventLog

/// The machine's disk, with ``Armed`` around every operation that changes it.
struct FailpointDisk: Disk {
    private let disk: any Disk
    let layout: StoreLayout

    init(root: String) { self.init(PosixDisk(), StoreLayout(root: root)) }

    private init(_ disk: any Disk, _ layout: StoreLayout) {
        self.disk = disk
        self.layout = layout
    }

    fileprivate func area(of path: String) -> Failpoint.Place.Area {
        if path.hasPrefix(layout.log) {
            return StoreLayout.isTemporary(path) ? .rewrite : .log
        }
        if path.hasPrefix(layout.snapshots) { return .snapshots }
        if path.hasPrefix(layout.aside) { return .aside }
        if path.hasPrefix(layout.staging) { return .staging }
        if path.hasPrefix(layout.identity) { return .identity }
        return path.hasPrefix(layout.database) ? .database : .any
    }

    func createDirectory(_ path: String) throws(SystemError) {
        try Armed.around(.create, .any) { () throws(SystemError) in
            try disk.createDirectory(path)
        }
    }

    func list(_ path: String) throws(SystemError) -> [String] { try disk.list(path) }

    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        let area = area(of: path)
        guard case .createExclusively = mode else {
            return FailpointFile(try disk.open(path, mode), area)
        }
        return try Armed.around(.create, area) { () throws(SystemError) in
            FailpointFile(try disk.open(path, mode), area)
        }
    }

    func rename(_ source: String, to target: String) throws(SystemError) {
        try Armed.around(.rename, area(of: target)) { () throws(SystemError) in
            try disk.rename(source, to: target)
        }
    }

    func remove(_ path: String) throws(SystemError) {
        try Armed.around(.remove, area(of: path)) { () throws(SystemError) in
            try disk.remove(path)
        }
    }

    func exists(_ path: String) throws(SystemError) -> Bool { try disk.exists(path) }

    func byteCount(of path: String) throws(SystemError) -> Int? { try disk.byteCount(of: path) }

    func synchronizeDirectory(_ path: String) throws(SystemError) {
        try Armed.around(.syncDirectory, area(of: path)) { () throws(SystemError) in
            try disk.synchronizeDirectory(path)
        }
    }

    func map(
        _ path: String, byteCount: Int, writable: Bool
    ) throws(SystemError) -> any MappedBytes {
        try disk.map(path, byteCount: byteCount, writable: writable)
    }

    func supportsSharedMapping(_ directory: String) -> Bool {
        disk.supportsSharedMapping(directory)
    }

    func lock(_ path: String) throws(SystemError) -> Locking { try disk.lock(path) }

    func lockDirectory(_ path: String) throws(SystemError) -> Locking {
        try disk.lockDirectory(path)
    }

    func hold(_ path: String) throws(SystemError) -> any Held { try disk.hold(path) }

    func entering(_ path: String) throws(SystemError) -> any Disk {
        FailpointDisk(try disk.entering(path), layout)
    }
}

private final class FailpointFile: DiskFile {
    private let file: any DiskFile
    private let area: Failpoint.Place.Area

    init(_ file: any DiskFile, _ area: Failpoint.Place.Area) {
        (self.file, self.area) = (file, area)
    }

    var path: String { file.path }
    func byteCount() throws(SystemError) -> Int { try file.byteCount() }
    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int {
        try file.read(into: &bytes, at: offset)
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        try Armed.around(
            .write, area,
            half: { try? file.write(bytes.extracting(first: bytes.count / 2), at: offset) },
            { () throws(SystemError) in try file.write(bytes, at: offset) })
    }

    func write(zeros count: Int, at offset: Int) throws(SystemError) {
        try Armed.around(
            .write, area,
            half: { try? file.write(zeros: count / 2, at: offset) },
            { () throws(SystemError) in try file.write(zeros: count, at: offset) })
    }

    func synchronize() throws(SystemError) {
        try Armed.around(.sync, area) { () throws(SystemError) in try file.synchronize() }
    }

    func truncate(to byteCount: Int) throws(SystemError) {
        try Armed.around(.truncate, area) { () throws(SystemError) in
            try file.truncate(to: byteCount)
        }
    }

    func dropCache() { file.dropCache() }

    func standing(at path: String) throws(SystemError) -> Standing {
        try file.standing(at: path)
    }
}
