import EventLog
import TestSupport
import Testing

/// The rules of a store's own disk, whichever disk is below it.
@Suite struct FencedDiskTests {
    private func take(_ place: DiskConformanceTests.Place) throws -> FencedDisk {
        let layout = StoreLayout(root: place.root)
        guard case .taken(let disk) = try FencedDisk.take(layout, on: place.disk) else {
            throw SystemError(call: "take", path: place.root, code: 0)
        }
        return disk
    }

    /// Everything that changes names or says that something is durable.
    private static let changes: [(String, @Sendable (FencedDisk, String) throws -> Void)] = [
        ("create", { _ = try $0.open($1 + "/new", .createExclusively) }),
        ("rename", { try $0.rename($1 + "/a", to: $1 + "/b") }),
        ("remove", { try $0.remove($1 + "/a") }),
        ("create a directory", { try $0.createDirectory($1 + "/directory") }),
        ("sync a directory", { try $0.synchronizeDirectory($1) }),
        ("replace a file", { try $0.replace($1 + "/a", with: [1]) }),
    ]

    @Test(arguments: DiskConformanceTests.Kind.allCases)
    func nothingIsChangedOrSyncedOnceItsLOCKIsGone(kind: DiskConformanceTests.Kind) throws {
        let place = try DiskConformanceTests.Place(kind)
        let disk = try take(place)
        try place.disk.create(place.path("a"), [0])
        let file = try disk.open(place.path("a"), .readWrite)
        try file.synchronize()
        try disk.checkFence()
        try place.disk.remove(place.path("LOCK"))
        let fence = SystemError(fenceAt: place.path("LOCK"), .missing)
        #expect(throws: fence) { try file.synchronize() }
        // Once is for good, also when the name is put back.
        try place.disk.create(place.path("LOCK"), [])
        for (what, change) in Self.changes {
            #expect(throws: fence, "\(what)") { try change(disk, place.root) }
        }
        #expect(throws: fence) { try disk.checkFence() }
        #expect(try place.disk.list(place.root).sorted() == ["LOCK", "a"])
    }

    @Test(arguments: DiskConformanceTests.Kind.allCases)
    func whatIsMappedIsNoLongerSyncedOnceStagingIsAnotherFile(
        kind: DiskConformanceTests.Kind
    ) throws {
        let place = try DiskConformanceTests.Place(kind)
        let disk = try take(place)
        let path = place.path("staging")
        try disk.replace(path, with: [UInt8](repeating: 0, count: 4096))
        let mapping = try disk.map(path, byteCount: 4096, writable: true)
        try mapping.synchronize(0..<4096)
        // Its own change of the name counts as its own.
        try disk.replace(path, with: [UInt8](repeating: 1, count: 4096))
        try mapping.synchronize(0..<4096)
        try place.disk.create(place.path("other"), [])
        try place.disk.rename(place.path("other"), to: path)
        #expect(throws: SystemError(fenceAt: path, .replaced)) {
            try mapping.synchronize(0..<4096)
        }
    }

    @Test(arguments: DiskConformanceTests.Kind.allCases)
    func aDirectoryIsTakenOnceWhateverBecomesOfLOCK(kind: DiskConformanceTests.Kind) throws {
        let place = try DiskConformanceTests.Place(kind)
        let layout = StoreLayout(root: place.root)
        let first = try take(place)
        for remove in [false, true] {
            if remove { try place.disk.remove(place.path("LOCK")) }
            guard case .heldHere = try FencedDisk.take(layout, on: place.disk) else {
                Issue.record("taken twice")
                return
            }
        }
        first.release()
        let released = SystemError(fenceAt: place.root, .closed)
        #expect(throws: released) { try first.checkFence() }
        let second = try take(place)
        try second.checkFence()
    }

    /// Each of them would keep a file open, or open it again, behind the store's back.
    private static let uses: [(String, @Sendable (FencedDisk, String) throws -> Void)] = [
        ("read", { _ = try $0.open($1 + "/a", .read) }),
        ("open to write", { _ = try $0.open($1 + "/a", .readWrite) }),
        ("list", { _ = try $0.list($1) }),
        ("look for", { _ = try $0.exists($1 + "/a") }),
        ("measure", { _ = try $0.byteCount(of: $1 + "/a") }),
        ("map", { _ = try $0.map($1 + "/a", byteCount: 1, writable: true) }),
        ("hold", { _ = try $0.hold($1 + "/a") }),
        ("lock", { _ = try $0.lock($1 + "/a") }),
        ("lock the directory", { _ = try $0.lockDirectory($1) }),
        ("enter", { _ = try $0.entering($1) }),
    ]

    @Test(arguments: DiskConformanceTests.Kind.allCases)
    func aReleasedDiskHasNothingOpenAndOpensNothing(kind: DiskConformanceTests.Kind) throws {
        let place = try DiskConformanceTests.Place(kind)
        let disk = try take(place)
        try place.disk.create(place.path("a"), [7])
        let file = try disk.open(place.path("a"), .read)
        let written = try disk.open(place.path("a"), .readWrite)
        disk.release()
        let closed = SystemError(fenceAt: place.root, .closed)
        for (what, use) in Self.changes + Self.uses {
            #expect(throws: closed, "\(what)") { try use(disk, place.root) }
        }
        let ended = SystemError(fenceAt: place.path("a"), .closed)
        #expect(throws: ended) { _ = try file.byteCount() }
        #expect(throws: ended) { _ = try file.read(1) }
        #expect(throws: ended) { try written.write([1], at: 0) }
        #expect(throws: ended) { try written.synchronize() }
        #expect(try place.disk.open(place.path("a"), .read).read(2) == [7])
    }

    @Test func theMappedBytesOfAReleasedDiskBelongToNoFile() throws {
        let directory = TemporaryDirectory()
        let layout = StoreLayout(root: directory.path)
        let machine = PosixDisk()
        guard case .taken(let disk) = try FencedDisk.take(layout, on: machine) else {
            Issue.record("not taken")
            return
        }
        try disk.replace(layout.staging, with: [UInt8](repeating: 1, count: 8192))
        let mapping = try disk.map(layout.staging, byteCount: 8192, writable: true)
        mapping.store(2, 5000..<5001)
        #expect(OpenFiles.below(directory.path) != [])
        disk.release()
        #expect(OpenFiles.below(directory.path) == [])
        mapping.store(3, 5001..<5002)
        let bytes = try machine.open(layout.staging, .read).read(8192)
        #expect(bytes[5000] == 2)
        #expect(bytes[5001] == 1)
    }

    @Test func aFileIsMadeInTheDirectoryThatWasTakenNotInTheOneOfItsName() throws {
        let outer = TemporaryDirectory()
        let (root, moved) = (outer.path + "/store", outer.path + "/moved")
        let disk = PosixDisk()
        try disk.createDirectory(root)
        let entered = try disk.entering(root)
        try disk.rename(root, to: moved)
        try disk.createDirectory(root)
        try entered.create(root + "/a", [1])
        try entered.rename(root + "/a", to: root + "/b")
        try entered.createDirectory(root + "/log")
        try entered.create(root + "//log/c", [1])
        for name in ["", "/", "//", "/log/"] { try entered.synchronizeDirectory(root + name) }
        #expect(try disk.list(root) == [])
        #expect(try disk.list(moved).sorted() == ["b", "log"])
        #expect(try entered.list(root + "/log") == ["c"])
        try entered.remove(root + "/b")
        #expect(try disk.list(moved) == ["log"])
        guard case .replaced = try disk.hold(moved).standing(at: root) else {
            Issue.record("two directories are taken for one")
            return
        }
    }
}
