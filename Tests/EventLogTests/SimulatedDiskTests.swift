import EventLog
import Glibc
import TestSupport
import Testing

/// The effects that a power loss may and may not have, shown over many seeds. A rule that says "never" fails on
/// any seed; one that says "can" fails when no seed shows it.
@Suite struct SimulatedDiskTests {
    private static let seeds: Range<UInt64> = 0..<300

    private static func bytes(_ value: UInt8, _ count: Int) -> [UInt8] {
        [UInt8](repeating: value, count: count)
    }

    /// A disk with a durable directory `d`.
    private static func disk() throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        try disk.createDirectory("d")
        try disk.synchronizeDirectory("/")
        return disk
    }

    /// A disk with a file `d/a` that is durable, name and bytes.
    private static func disk(holding bytes: [UInt8]) throws -> (SimulatedDisk, any DiskFile) {
        let disk = try disk()
        let file = try disk.create("d/a", bytes)
        try file.synchronize()
        try disk.synchronizeDirectory("d")
        return (disk, file)
    }

    /// The remains of `path` after each of many power losses out of the same state.
    private static func survivors(_ disk: SimulatedDisk, _ path: String = "d/a") -> [[UInt8]?] {
        seeds.map { seed in
            let copy = disk.snapshot()
            var random = SeededRandom(seed: seed)
            copy.crash(.power, using: &random)
            return copy.readAll(path)
        }
    }

    // MARK: Bytes

    @Test func syncedBytesSurviveEveryPowerLoss() throws {
        let content = (0..<5_000).map { UInt8($0 % 251) }
        let (disk, _) = try Self.disk(holding: content)
        for (seed, left) in Self.survivors(disk).enumerated() {
            #expect(left == content, "seed \(seed)")
        }
    }

    @Test func unsyncedSectorsAreOldNewOrGarbage() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 4 * 512))
        try file.write(Self.bytes(2, 4 * 512), at: 0)
        var old = 0
        var new = 0
        var torn = 0
        var garbage = 0
        for left in Self.survivors(disk) {
            let left = try #require(left)
            #expect(left.count == 4 * 512)
            if left == Self.bytes(1, 4 * 512) { old += 1 }
            if left == Self.bytes(2, 4 * 512) { new += 1 }
            if Set(left) == [1, 2] { torn += 1 }
            if Set(left).count > 2 { garbage += 1 }
            for sector in 0..<4 {
                let kinds = Set(left[sector * 512..<(sector + 1) * 512])
                #expect(kinds.count == 1 || kinds.count > 100, "a sector is written whole")
            }
        }
        #expect(old > 0 && new > 0 && torn > 0 && garbage > 0)
    }

    /// The log appends to the sector in which its durable end lies, so this has to hold.
    @Test func syncedBytesBesideUnsyncedOnesAreNeverHarmed() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 700))
        try file.write(Self.bytes(2, 900), at: 700)
        try file.write(Self.bytes(2, 10), at: 100)
        for (seed, left) in Self.survivors(disk).enumerated() {
            let left = try #require(left)
            #expect(left.count >= 700)
            #expect(left[0..<100].allSatisfy { $0 == 1 }, "seed \(seed)")
            #expect(left[110..<700].allSatisfy { $0 == 1 }, "seed \(seed)")
        }
    }

    @Test func anUnsyncedExtensionHasAnyLengthAndMayBeZero() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 1_000))
        try file.write(Self.bytes(2, 2_000), at: 1_000)
        let left = try Self.survivors(disk).map { try #require($0) }
        let lengths = Set(left.map(\.count))
        #expect(lengths.contains(1_000) && lengths.contains(3_000))
        #expect(lengths.allSatisfy { (1_000...3_000).contains($0) } && lengths.count > 10)
        #expect(left.contains { $0.count > 1_024 && $0[1_024...].allSatisfy { $0 == 0 } })
    }

    @Test func aTruncationMayBeLost() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 1_500))
        try file.truncate(to: 200)
        let left = try Self.survivors(disk).map { try #require($0) }
        #expect(left.contains(Self.bytes(1, 1_500)) && left.contains(Self.bytes(1, 200)))
        #expect(left.allSatisfy { $0[0..<200].allSatisfy { $0 == 1 } })
        try file.synchronize()
        #expect(Set(Self.survivors(disk)) == [Self.bytes(1, 200)])
    }

    @Test func aSectorWrittenTwiceMayHoldWhatWasBetween() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 512))
        try file.write(Self.bytes(2, 512), at: 0)
        try file.write(Self.bytes(3, 512), at: 0)
        let left = Set(Self.survivors(disk))
        #expect(left.isSuperset(of: [Self.bytes(1, 512), Self.bytes(2, 512), Self.bytes(3, 512)]))
        try file.synchronize()
        #expect(Set(Self.survivors(disk)) == [Self.bytes(3, 512)])
    }

    @Test func laterWritesMaySurviveEarlierOnes() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 3 * 4096))
        try file.write(Self.bytes(2, 4096), at: 0)
        try file.write(Self.bytes(2, 4096), at: 2 * 4096)
        let left = try Self.survivors(disk).map { try #require($0) }
        #expect(left.contains { $0[..<4096].allSatisfy { $0 == 1 } && $0.last == 2 })
    }

    // MARK: Names

    @Test func anUnsyncedNameCanVanishThoughItsFileWasSynced() throws {
        let disk = try Self.disk()
        try disk.create("d/a", [1]).synchronize()
        #expect(Set(Self.survivors(disk)) == [nil, [1]])
        try disk.synchronizeDirectory("d")
        #expect(Set(Self.survivors(disk)) == [[1]])
    }

    @Test func aSyncedNameOfAnUnsyncedFilePromisesNoBytes() throws {
        let disk = try Self.disk()
        try disk.create("d/a", [1, 2, 3])
        try disk.synchronizeDirectory("d")
        let left = Set(Self.survivors(disk))
        #expect(!left.contains(nil) && left.contains([]) && left.contains([1, 2, 3]))
        #expect(left.contains([0, 0, 0]))
    }

    @Test func renamingIsAtomic() throws {
        let (disk, _) = try Self.disk(holding: [1])
        try disk.create("d/new", [2]).synchronize()
        try disk.rename("d/new", to: "d/a")
        #expect(Set(Self.survivors(disk)) == [[1], [2]])
        try disk.synchronizeDirectory("d")
        #expect(Set(Self.survivors(disk)) == [[2]])
        #expect(Set(Self.survivors(disk, "d/new")) == [nil])
    }

    @Test(arguments: ["d", "e"])
    func aFileThatMovesBetweenDirectoriesIsInOneOfThem(synced: String) throws {
        let (disk, _) = try Self.disk(holding: [1])
        try disk.createDirectory("e")
        try disk.synchronizeDirectory("/")
        try disk.rename("d/a", to: "e/a")
        func places() -> Set<[String]> {
            Set(
                Self.seeds.map { seed in
                    let copy = disk.snapshot()
                    var random = SeededRandom(seed: seed)
                    copy.crash(.power, using: &random)
                    return copy.allFiles
                })
        }
        #expect(places() == [["d/a"], ["e/a"]])
        try disk.synchronizeDirectory(synced)
        #expect(places() == [["e/a"]])
    }

    @Test func aSyncedNameSurvivesWhateverUnsyncedOneCameBeforeIt() throws {
        let disk = try Self.disk()
        try disk.create("unsynced", [1])
        try disk.create("d/a", [2]).synchronize()
        try disk.synchronizeDirectory("d")
        #expect(Set(Self.survivors(disk)) == [[2]])
        #expect(Set(Self.survivors(disk, "unsynced")).contains(nil))
    }

    @Test func aRemovedFileCanComeBackUntilItsDirectoryIsSynced() throws {
        let (disk, _) = try Self.disk(holding: [1])
        try disk.remove("d/a")
        #expect(Set(Self.survivors(disk)) == [nil, [1]])
        try disk.synchronizeDirectory("d")
        #expect(Set(Self.survivors(disk)) == [nil])
    }

    @Test func aLostDirectoryTakesWhatIsInIt() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("new")
        try disk.create("new/a", [1]).synchronize()
        try disk.synchronizeDirectory("new")
        #expect(Set(Self.survivors(disk, "new/a")) == [nil, [1]])
        try disk.synchronizeDirectory("/")
        #expect(Set(Self.survivors(disk, "new/a")) == [[1]])
    }

    // MARK: Failed syncs

    @Test func aFailedSyncForgetsItsBytesForGood() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 512))
        try file.write(Self.bytes(2, 512), at: 0)
        disk.fail(.synchronize, onFileNamed: "d/a")
        #expect(errorCode { () throws(SystemError) in try file.synchronize() } == EIO)
        #expect(try file.read(512) == Self.bytes(2, 512))
        try file.synchronize()
        let left = Set(Self.survivors(disk))
        #expect(left.isSuperset(of: [Self.bytes(1, 512), Self.bytes(2, 512)]))
        try file.write([2], at: 0)
        try file.synchronize()
        #expect(Set(Self.survivors(disk)) == [Self.bytes(2, 512)])
    }

    @Test func whatIsWrittenAfterAFailedSyncIsSyncedWithoutTheForgotten() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 512))
        try file.write(Self.bytes(2, 512), at: 512)
        disk.fail(.synchronize, onFileNamed: "d/a")
        #expect(errorCode { () throws(SystemError) in try file.synchronize() } == EIO)
        try file.synchronize()
        #expect(Self.survivors(disk).contains(Self.bytes(1, 512)), "the length is forgotten too")
        try file.write(Self.bytes(3, 512), at: 1_024)
        try file.synchronize()
        let left = try Self.survivors(disk).map { try #require($0) }
        try #require(left.allSatisfy { $0.count == 1_536 })
        #expect(left.allSatisfy { $0[1_024...].allSatisfy { $0 == 3 } })
        #expect(left.contains { $0[512..<1_024].allSatisfy { $0 == 0 } })
    }

    // MARK: Mappings

    @Test func mappedPagesAreDurableOnlyWhereSynced() throws {
        let (disk, _) = try Self.disk(holding: Self.bytes(1, 3 * 4096))
        let map = try disk.map("d/a", byteCount: 3 * 4096, writable: true)
        map.store(2, 0..<3 * 4096)
        try map.synchronize(4_096..<4_097)
        let left = try Self.survivors(disk).map { try #require($0) }
        #expect(left.allSatisfy { $0[4_096..<8_192].allSatisfy { $0 == 2 } })
        for page in [0, 2] {
            let range = page * 4_096..<(page + 1) * 4_096
            #expect(left.contains { $0[range].allSatisfy { $0 == 1 } }, "page \(page) whole, old")
            #expect(left.contains { $0[range].allSatisfy { $0 == 2 } }, "page \(page) whole, new")
            #expect(left.contains { Set($0[range]) == [1, 2] }, "page \(page) torn")
        }
    }

    @Test func syncingTheFileSyncsItsMapping() throws {
        let (disk, file) = try Self.disk(holding: Self.bytes(1, 4096))
        let map = try disk.map("d/a", byteCount: 4096, writable: true)
        map.store(2, 0..<4096)
        try file.synchronize()
        #expect(Set(Self.survivors(disk)) == [Self.bytes(2, 4096)])
    }

    @Test func aFailedSyncOfAMappingForgetsItsRange() throws {
        let (disk, _) = try Self.disk(holding: Self.bytes(1, 4096))
        let map = try disk.map("d/a", byteCount: 4096, writable: true)
        map.store(2, 0..<4096)
        disk.fail(.synchronizeMapping, onFileNamed: "d/a")
        #expect(errorCode { () throws(SystemError) in try map.synchronize(0..<8) } == EIO)
        try map.synchronize(0..<4096)
        #expect(Self.survivors(disk).contains(Self.bytes(1, 4096)))
    }

    @Test func mappedBytesThatWereNotedCanComeBack() throws {
        let (disk, _) = try Self.disk(holding: Self.bytes(1, 512))
        let map = try disk.map("d/a", byteCount: 512, writable: true)
        map.store(2, 0..<512)
        disk.noteMappedBytes()
        map.store(3, 0..<512)
        let left = Set(Self.survivors(disk))
        #expect(left.isSuperset(of: [Self.bytes(1, 512), Self.bytes(2, 512), Self.bytes(3, 512)]))
    }
}
