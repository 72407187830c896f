import EventLog
import Glibc
import TestSupport
import Testing

@Suite struct PosixDiskTests {
    private let disk = PosixDisk()
    private let directory = TemporaryDirectory()

    private func path(_ name: String) -> String { directory.path + "/" + name }

    private func permissions(_ name: String) -> mode_t {
        var status = stat()
        #expect(lstat(path(name), &status) == 0)
        return status.st_mode & 0o777
    }

    @Test func newFilesAndDirectoriesAreTheOwnersAlone() throws {
        try disk.create(path("file"), [])
        try disk.createDirectory(path("directory"))
        _ = try disk.lock(path("LOCK"))
        #expect(permissions("file") == 0o600)
        #expect(permissions("directory") == 0o700)
        #expect(permissions("LOCK") == 0o600)
    }

    @Test func linksAreNeverFollowed() throws {
        try disk.create(path("file"), [1])
        try disk.createDirectory(path("directory"))
        #expect(symlink(path("file"), path("to file")) == 0)
        #expect(symlink(path("directory"), path("to directory")) == 0)
        let link = path("to file")
        let calls: [(String, Int32, () throws(SystemError) -> Void)] = [
            ("read", ELOOP, { () throws(SystemError) in _ = try disk.open(link, .read) }),
            ("write", ELOOP, { () throws(SystemError) in _ = try disk.open(link, .readWrite) }),
            (
                "create", EEXIST,
                { () throws(SystemError) in _ = try disk.open(link, .createExclusively) }
            ),
            (
                "map", ELOOP,
                { () throws(SystemError) in _ = try disk.map(link, byteCount: 1, writable: true) }
            ),
            ("length", ELOOP, { () throws(SystemError) in _ = try disk.byteCount(of: link) }),
            ("lock", ELOOP, { () throws(SystemError) in _ = try disk.lock(link) }),
            (
                "directory", ELOOP,
                { () throws(SystemError) in try disk.createDirectory(path("to directory")) }
            ),
            (
                "list", ENOTDIR,
                { () throws(SystemError) in _ = try disk.list(path("to directory")) }
            ),
            (
                "sync", ENOTDIR,
                { () throws(SystemError) in
                    try disk.synchronizeDirectory(path("to directory"))
                }
            ),
        ]
        for (name, code, call) in calls { #expect(errorCode(call) == code, "\(name)") }
    }

    @Test func aLinkThatLeadsNowhereExists() throws {
        #expect(symlink(path("nowhere"), path("link")) == 0)
        #expect(try disk.exists(path("link")))
        #expect(errorCode { () throws(SystemError) in _ = try disk.lock(path("link")) } == ELOOP)
        try disk.remove(path("link"))
        #expect(try !disk.exists(path("link")))
    }

    /// The numbers of the descriptors that this process has open on a file.
    private func descriptors(on path: String) throws -> [String] {
        try disk.list("/proc/self/fd").filter { number in
            var target = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink("/proc/self/fd/" + number, &target, target.count)
            let found = target.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
            return String(decoding: found, as: UTF8.self) == path
        }
    }

    @Test func descriptorsEndWithTheirOwnerAndDoNotReachOtherPrograms() throws {
        var file: (any DiskFile)? = try disk.create(path("file"), [1])
        var lock = try disk.lock(path("LOCK")).taken
        for name in ["file", "LOCK"] {
            let numbers = try descriptors(on: path(name))
            #expect(numbers.count == 1)
            for number in numbers {
                let info = try disk.open("/proc/self/fdinfo/" + number, .read).read(4096)
                let flags = String(decoding: info, as: UTF8.self)
                    .split(separator: "\n").first { $0.hasPrefix("flags:") }
                let bits = flags.flatMap { Int32($0.dropFirst(6).drop { $0 == "\t" }, radix: 8) }
                #expect(bits.map { $0 & O_CLOEXEC != 0 } == true, "\(name)")
            }
        }
        #expect(file != nil && lock != nil)
        file = nil
        lock = nil
        #expect(try descriptors(on: path("file")).isEmpty)
        #expect(try descriptors(on: path("LOCK")).isEmpty)
    }

    /// As a child has between `fork` and `exec`.
    @Test func aCopyOfItsDescriptorDoesNotHoldOnToALock() throws {
        var lock = try disk.lock(path("LOCK")).taken
        let number = try #require(descriptors(on: path("LOCK")).first.flatMap { Int32($0) })
        let copy = dup(number)
        defer { close(copy) }
        #expect(try lock != nil && disk.lock(path("LOCK")).taken == nil)
        lock = nil
        #expect(try disk.lock(path("LOCK")).taken != nil)
    }

    /// One thread always holds the lock on the file that the path names, and puts new files in its place all the
    /// while. Another that opens one just before it is replaced must not lock a file that no other can find.
    @Test func aLockOnAFileThatWasReplacedIsNone() throws {
        let isOver = Locked(false)
        let (disk, name, other) = (disk, path("LOCK"), path("new"))
        let held = Locked(try disk.lock(name).taken)
        let replacing = TestThread {
            while !isOver.withLock({ $0 }) {
                guard let new = try? disk.lock(other).taken else { continue }
                try? disk.rename(other, to: name)
                held.withLock { $0 = new }
            }
        }
        for _ in 0..<20_000 {
            guard try disk.lock(name).taken != nil else { continue }
            Issue.record("the lock was taken twice")
            break
        }
        isOver.withLock { $0 = true }
        replacing.join()
        #expect(held.withLock { $0 != nil })
    }

    @Test func anErrorNamesCallPathAndReason() {
        let missing = path("none")
        let expected = SystemError(call: "open", path: missing, code: ENOENT)
        #expect(throws: expected) { try disk.open(missing, .read) }
        #expect(expected.description == "open \(missing): No such file or directory")
    }

    @Test(arguments: [
        ("ext4", 0xEF53, true), ("xfs", 0x5846_5342, true), ("tmpfs", 0x0102_1994, true),
        ("overlayfs", 0x794C_7630, true), ("nfs", 0x6969, false), ("smb", 0x517B, false),
        ("smb2", 0xFE53_4D42, false), ("cifs", 0xFF53_4D42, false), ("fuse", 0x6573_5546, false),
        ("9p", 0x0102_1997, false), ("ceph", 0x00C3_6400, false), ("btrfs", 0x9123_683E, false),
        ("zfs", 0x2FC1_2FC1, false), ("f2fs", 0xF2F5_2010, true), ("bcachefs", 0xCA45_1A4E, false),
        ("one that nobody knows yet", 0x1234_5678, false), ("proc", 0x9FA0, false),
    ])
    func mappingsAreSharedOnlyWhereCoherentAndCheap(name: String, number: UInt32, shared: Bool) {
        #expect(PosixDisk.sharesMappings(fileSystem: number) == shared)
    }

    /// It shows the counts of what is below it: btrfs has none, and ZFS has long blocks.
    @Test func anOverlayIsJudgedByWhatIsBelowIt() {
        let overlay: UInt32 = 0x794C_7630
        #expect(PosixDisk.sharesMappings(fileSystem: overlay))
        #expect(!PosixDisk.sharesMappings(fileSystem: overlay, countsFiles: false))
        #expect(!PosixDisk.sharesMappings(fileSystem: overlay, blockSize: 128 << 10))
    }

    @Test func aDirectoryThatCannotBeAskedSharesNoMappings() {
        #expect(!disk.supportsSharedMapping(path("none")))
        #expect(!disk.supportsSharedMapping("/proc\0"))
        #expect(!disk.supportsSharedMapping("/proc"))
    }
}
