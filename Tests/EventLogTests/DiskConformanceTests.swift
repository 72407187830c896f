import EventLog
import Glibc
import TestSupport
import Testing

/// The rules that a store relies on, with any disk: the simulated one must behave as the machine does.
@Suite struct DiskConformanceTests {
    enum Kind: CaseIterable { case posix, simulated }

    /// An empty directory `root` on a disk of one kind.
    struct Place {
        let disk: any Disk
        let root: String
        private let directory: TemporaryDirectory?

        init(_ kind: Kind) throws {
            switch kind {
            case .posix:
                let made = TemporaryDirectory()
                (disk, root, directory) = (PosixDisk(), made.path, made)
            case .simulated:
                (disk, root, directory) = (SimulatedDisk(), "store", nil)
                try disk.createDirectory(root)
            }
        }

        func path(_ name: String) -> String { root + "/" + name }
    }

    // MARK: Files

    @Test(arguments: Kind.allCases)
    func whatIsWrittenIsRead(kind: Kind) throws {
        let place = try Place(kind)
        let file = try place.disk.open(place.path("a"), .createExclusively)
        #expect(file.path == place.path("a"))
        #expect(try file.byteCount() == 0)
        try file.write([1, 2, 3, 4], at: 0)
        try file.write([9], at: 1)
        try file.write([], at: 100)
        #expect(try file.read(4) == [1, 9, 3, 4])
        #expect(try file.byteCount() == 4)
        let other = try place.disk.open(place.path("a"), .read)
        #expect(try other.read(2, at: 1) == [9, 3])
    }

    @Test(arguments: Kind.allCases)
    func readsEndWithTheFile(kind: Kind) throws {
        let place = try Place(kind)
        let file = try place.disk.create(place.path("a"), [1, 2, 3])
        #expect(try file.read(10, at: 1) == [2, 3])
        #expect(try file.read(10, at: 3) == [])
        #expect(try file.read(10, at: 30) == [])
    }

    @Test(arguments: Kind.allCases)
    func bytesThatWereSkippedAreZero(kind: Kind) throws {
        let place = try Place(kind)
        let file = try place.disk.create(place.path("a"), [7])
        try file.write([8], at: 3)
        #expect(try file.read(10) == [7, 0, 0, 8])
    }

    @Test(arguments: Kind.allCases)
    func truncatingCutsAndExtendsWithZeros(kind: Kind) throws {
        let place = try Place(kind)
        let file = try place.disk.create(place.path("a"), [1, 2, 3, 4])
        try file.truncate(to: 2)
        #expect(try file.byteCount() == 2)
        try file.truncate(to: 4)
        #expect(try file.read(10) == [1, 2, 0, 0])
        try file.synchronize()
    }

    @Test(arguments: Kind.allCases)
    func openModesRefuseWhatTheyMust(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        for mode in [OpenMode.read, .readWrite] {
            #expect(
                errorCode { () throws(SystemError) in
                    _ = try disk.open(place.path("none"), mode)
                } == ENOENT)
        }
        try disk.create(place.path("a"), [1])
        #expect(
            errorCode { () throws(SystemError) in
                _ = try disk.open(place.path("a"), .createExclusively)
            } == EEXIST)
        let readOnly = try disk.open(place.path("a"), .read)
        #expect(errorCode { () throws(SystemError) in try readOnly.write([2], at: 0) } == EBADF)
        #expect(
            errorCode { () throws(SystemError) in
                _ = try disk.open(place.root, .readWrite)
            } == EISDIR)
        #expect(
            errorCode { () throws(SystemError) in
                _ = try disk.open(place.path("a/b"), .read)
            } == ENOTDIR)
    }

    // MARK: Names

    @Test(arguments: Kind.allCases)
    func renamingReplacesItsTarget(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        let new = try disk.create(place.path("new"), [2])
        let old = try disk.create(place.path("a"), [1])
        try disk.rename(place.path("new"), to: place.path("a"))
        #expect(try disk.list(place.root) == ["a"])
        #expect(try disk.open(place.path("a"), .read).read(9) == [2])
        #expect(try new.read(9) == [2])
        #expect(try old.read(9) == [1])
        #expect(
            errorCode { () throws(SystemError) in
                try disk.rename(place.path("new"), to: place.path("a"))
            } == ENOENT)
    }

    @Test(arguments: Kind.allCases)
    func aRemovedFileIsGoneButForItsHandles(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        let file = try disk.create(place.path("a"), [1])
        #expect(try disk.exists(place.path("a")))
        try disk.remove(place.path("a"))
        #expect(try !disk.exists(place.path("a")))
        #expect(try disk.list(place.root) == [])
        #expect(try file.read(9) == [1])
        #expect(
            errorCode { () throws(SystemError) in
                try disk.remove(place.path("a"))
            } == ENOENT)
        #expect(errorCode { () throws(SystemError) in try disk.remove(place.root) } == EISDIR)
    }

    @Test(arguments: Kind.allCases)
    func aDirectoryIsCreatedOnce(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        try disk.createDirectory(place.path("log"))
        try disk.create(place.path("log/1"), [])
        try disk.createDirectory(place.path("log"))
        #expect(try disk.list(place.path("log")) == ["1"])
        #expect(
            errorCode { () throws(SystemError) in
                try disk.createDirectory(place.path("log/1"))
            } == EEXIST)
        #expect(
            errorCode { () throws(SystemError) in
                try disk.createDirectory(place.path("none/log"))
            } == ENOENT)
    }

    @Test(arguments: Kind.allCases)
    func listsAllNames(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        let names = (0..<100).map { "file-\($0)" } + ["größe", ".hidden"]
        for name in names { try disk.create(place.path(name), []) }
        #expect(try disk.list(place.root).sorted() == names.sorted())
        #expect(
            errorCode { () throws(SystemError) in
                _ = try disk.list(place.path("none"))
            } == ENOENT)
        #expect(
            errorCode { () throws(SystemError) in
                _ = try disk.list(place.path(".hidden"))
            } == ENOTDIR)
    }

    @Test(arguments: Kind.allCases)
    func onlyDirectoriesAreSynchronizedAsSuch(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        try disk.create(place.path("a"), [])
        try disk.synchronizeDirectory(place.root)
        #expect(
            errorCode { () throws(SystemError) in
                try disk.synchronizeDirectory(place.path("a"))
            } == ENOTDIR)
        #expect(
            errorCode { () throws(SystemError) in
                try disk.synchronizeDirectory(place.path("none"))
            } == ENOENT)
    }

    /// C ends a string at its first NUL, so such a path must not come that far.
    @Test(arguments: Kind.allCases)
    func aPathWithNULIsAnErrorEverywhere(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        try disk.create(place.path("a"), [1])
        let bad = place.path("a\0b")
        let calls: [(String, () throws(SystemError) -> Void)] = [
            ("createDirectory", { () throws(SystemError) in try disk.createDirectory(bad) }),
            ("list", { () throws(SystemError) in _ = try disk.list(place.root + "\0") }),
            ("open", { () throws(SystemError) in _ = try disk.open(bad, .read) }),
            ("create", { () throws(SystemError) in _ = try disk.open(bad, .createExclusively) }),
            ("rename", { () throws(SystemError) in try disk.rename(bad, to: place.path("c")) }),
            ("rename to", { () throws(SystemError) in try disk.rename(place.path("a"), to: bad) }),
            ("remove", { () throws(SystemError) in try disk.remove(bad) }),
            ("exists", { () throws(SystemError) in _ = try disk.exists(bad) }),
            (
                "sync",
                { () throws(SystemError) in try disk.synchronizeDirectory(place.root + "\0") }
            ),
            (
                "map",
                { () throws(SystemError) in _ = try disk.map(bad, byteCount: 1, writable: false) }
            ),
            ("lock", { () throws(SystemError) in _ = try disk.lock(bad) }),
        ]
        for (name, call) in calls { #expect(errorCode(call) == EINVAL, "\(name)") }
        #expect(try disk.list(place.root) == ["a"])
    }

    // MARK: Mappings

    @Test(arguments: Kind.allCases)
    func aMappingIsTheFile(kind: Kind) throws {
        let place = try Place(kind)
        let disk = place.disk
        let file = try disk.create(place.path("a"), [UInt8](repeating: 1, count: 10_000))
        let map = try disk.map(place.path("a"), byteCount: 9_000, writable: true)
        #expect(map.bytes.count == 9_000)
        #expect(UInt(bitPattern: map.bytes.baseAddress) % 4096 == 0)
        map.store(2, 4_000..<5_000)
        #expect(try file.read(1_002, at: 3_999) == [1] + [UInt8](repeating: 2, count: 1_000) + [1])
        try file.write([3, 3, 3], at: 8_998)
        #expect(map.bytes[8_997] == 1 && map.bytes[8_998] == 3 && map.bytes[8_999] == 3)
        let reader = try disk.map(place.path("a"), byteCount: 4_001, writable: false)
        map.store(4, 3_999..<4_001)
        #expect(reader.bytes[3_998] == 1 && reader.bytes[3_999] == 4 && reader.bytes[4_000] == 4)
        try map.synchronize(4_500..<4_501)
        try map.synchronize(8_999..<9_000)
        try map.synchronize(0..<0)
        #expect(try file.byteCount() == 10_000)
    }

    @Test(arguments: Kind.allCases)
    func aMappingOutlivesNameAndHandle(kind: Kind) throws {
        let place = try Place(kind)
        try place.disk.create(place.path("a"), [5, 6])
        let map = try place.disk.map(place.path("a"), byteCount: 2, writable: true)
        try place.disk.remove(place.path("a"))
        map.store(7, 0..<1)
        #expect(Array(map.bytes) == [7, 6])
        try map.synchronize(0..<2)
    }

    @Test(
        "A mapping beyond the end, which would fault, is refused",
        arguments: Kind.allCases, [0, 4, 5000])
    func mappingsBeyondTheEndAreRefused(kind: Kind, byteCount: Int) throws {
        let place = try Place(kind)
        try place.disk.create(place.path("a"), [5, 6, 7])
        #expect(
            errorCode { () throws(SystemError) in
                _ = try place.disk.map(place.path("a"), byteCount: byteCount, writable: true)
            } == EINVAL)
    }

    // MARK: Locks

    @Test(arguments: Kind.allCases)
    func aLockIsHeldOnceUntilItIsDropped(kind: Kind) throws {
        let place = try Place(kind)
        var first = try place.disk.lock(place.path("LOCK")).taken
        #expect(first != nil)
        #expect(try place.disk.exists(place.path("LOCK")))
        #expect(try place.disk.lock(place.path("LOCK")).taken == nil)
        #expect(try place.disk.lock(place.path("OTHER")).taken != nil)
        first = nil
        #expect(try place.disk.lock(place.path("LOCK")).taken != nil)
    }

    /// The next to lock can only find the new file, so a lock on the old one must not stop it.
    @Test(arguments: Kind.allCases)
    func aLockIsOnTheFileThatThePathNames(kind: Kind) throws {
        let place = try Place(kind)
        let old = try place.disk.lock(place.path("LOCK")).taken
        try place.disk.remove(place.path("LOCK"))
        let new = try place.disk.lock(place.path("LOCK")).taken
        #expect(old != nil && new != nil)
        #expect(try place.disk.lock(place.path("LOCK")).taken == nil)
    }
}
