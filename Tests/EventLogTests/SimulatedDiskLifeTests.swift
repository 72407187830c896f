import EventLog
import Glibc
import TestSupport
import Testing

/// Lives, copies and failures of a simulated disk.
@Suite struct SimulatedDiskLifeTests {
    private var random = SeededRandom(seed: 7)

    // MARK: Crashes

    @Test mutating func aProcessCrashLosesNothing() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("d")
        try disk.create("d/a", [1, 2, 3])
        let map = try disk.map("d/a", byteCount: 2, writable: true)
        map.store(9, 0..<1)
        disk.crash(.process, using: &random)
        #expect(disk.readAll("d/a") == [9, 2, 3])
        let left = Set(
            (UInt64(0)..<100).map { seed in
                let copy = disk.snapshot()
                var random = SeededRandom(seed: seed)
                copy.crash(.power, using: &random)
                return copy.readAll("d/a")
            })
        #expect(left.contains(nil) && left.contains([9, 2, 3]), "it is still not synced")
    }

    private func isDead(_ use: () throws -> Void) -> Bool {
        do {
            try use()
            return false
        } catch {
            return (error as? SystemError)?.code == EBADF
        }
    }

    @Test(arguments: SimulatedDisk.Crash.allCases)
    func whatAnOldLifeHasOpenIsDead(crash: SimulatedDisk.Crash) throws {
        var random = SeededRandom(seed: 1)
        let disk = SimulatedDisk()
        let file = try disk.create("a", [1, 2])
        try file.synchronize()
        try disk.synchronizeDirectory("/")
        let map = try disk.map("a", byteCount: 2, writable: true)
        let lock = try disk.lock("LOCK").taken
        disk.crash(crash, using: &random)
        #expect(isDead { _ = try file.byteCount() })
        #expect(isDead { _ = try file.read(1) })
        #expect(isDead { try file.write([3], at: 0) })
        #expect(isDead { try file.synchronize() })
        #expect(isDead { try file.truncate(to: 0) })
        #expect(isDead { try map.synchronize(0..<1) })
        let successor = try disk.map("a", byteCount: 2, writable: true)
        map.store(9, 0..<2)
        #expect(Array(successor.bytes) == [1, 2])
        #expect(disk.readAll("a") == [1, 2])
        let second = try disk.lock("LOCK").taken
        #expect(lock != nil && second != nil)
    }

    @Test mutating func droppingALockOfAnOldLifeLetsNothingGo() throws {
        let disk = SimulatedDisk()
        var old = try disk.lock("LOCK").taken
        disk.crash(.process, using: &random)
        let new = try disk.lock("LOCK").taken
        #expect(old != nil && new != nil)
        old = nil
        #expect(try disk.lock("LOCK").taken == nil)
    }

    @Test func theSameSeedLosesTheSame() throws {
        let disk = SimulatedDisk()
        for name in ["a", "b", "c", "d"] {
            try disk.create(name, [UInt8](repeating: 1, count: 20_000))
        }
        func outcome(_ seed: UInt64) -> [[UInt8]?] {
            let copy = disk.snapshot()
            var random = SeededRandom(seed: seed)
            copy.crash(.power, using: &random)
            return ["a", "b", "c", "d"].map { copy.readAll($0) }
        }
        for seed in UInt64(0)..<50 { #expect(outcome(seed) == outcome(seed), "seed \(seed)") }
        #expect(Set((UInt64(0)..<50).map(outcome)).count > 25)
    }

    @Test mutating func whatAPowerLossLeftIsDurable() throws {
        let disk = SimulatedDisk()
        try disk.create("a", [UInt8](repeating: 1, count: 20_000))
        disk.crash(.power, using: &random)
        let left = disk.readAll("a")
        for _ in 0..<20 {
            disk.crash(.power, using: &random)
            #expect(disk.readAll("a") == left)
        }
    }

    /// Nothing to see without the thread sanitizer but that the bytes arrive.
    @Test func storesIntoAMappingNeedNoLock() async throws {
        let disk = SimulatedDisk()
        let file = try disk.create("a", [UInt8](repeating: 0, count: 8_192))
        let map = try disk.map("a", byteCount: 8_192, writable: true)
        await withTaskGroup { group in
            group.addTask { for value in UInt8(1)...200 { map.store(value, 0..<8_192) } }
            group.addTask { for _ in 0..<50 { try? map.synchronize(0..<4_096) } }
            group.addTask { for _ in 0..<50 { disk.noteMappedBytes() } }
        }
        #expect(try file.read(9_000) == [UInt8](repeating: 200, count: 8_192))
    }

    @Test func aSnapshotIsAnotherDisk() throws {
        let disk = SimulatedDisk()
        try disk.create("a", [1, 2])
        let map = try disk.map("a", byteCount: 2, writable: true)
        let held = try disk.lock("LOCK").taken
        map.store(5, 0..<1)
        let copy = disk.snapshot()
        map.store(6, 0..<1)
        #expect(copy.readAll("a") == [5, 2])
        try copy.overwrite("a", [7])
        #expect(disk.readAll("a") == [6, 2])
        #expect(try copy.lock("LOCK").taken != nil)
        #expect(held != nil)
    }

    // MARK: Failures

    @Test func theNthOperationFailsOnce() throws {
        let disk = SimulatedDisk()
        disk.fail(at: 3, with: .errno(EMFILE))
        let file = try disk.create("a", [1])
        #expect(errorCode { () throws(SystemError) in try file.write([2], at: 0) } == EMFILE)
        #expect(disk.readAll("a") == [1])
        try file.write([3], at: 0)
        #expect(disk.readAll("a") == [3])
        #expect(disk.operationCount == 4)
        #expect(disk.count(of: .write) == 3)
    }

    @Test func aPermanentFailureStays() throws {
        let disk = SimulatedDisk()
        disk.fail(at: 2, with: .errno(EIO), permanently: true)
        #expect(try !disk.exists("a"))
        for _ in 0..<3 {
            #expect(errorCode { () throws(SystemError) in _ = try disk.exists("a") } == EIO)
        }
        disk.stopFailing()
        #expect(try !disk.exists("a"))
    }

    @Test func aFailureByNameHitsThatFileSoManyTimes() throws {
        let disk = SimulatedDisk()
        let first = try disk.create("a.zst", [1])
        let second = try disk.create("b", [1])
        disk.fail(.synchronize, onFileNamed: ".zst", with: .errno(ENOSPC), times: 2)
        try second.synchronize()
        try first.write([2], at: 0)
        for _ in 0..<2 {
            #expect(errorCode { () throws(SystemError) in try first.synchronize() } == ENOSPC)
        }
        try first.synchronize()
    }

    @Test func aShortWriteLeavesAPart() throws {
        let content = (0..<100).map { UInt8($0) }
        var lengths: Set<Int> = []
        for seed in UInt64(0)..<50 {
            let disk = SimulatedDisk(seed: seed)
            disk.fail(at: 2, with: .shortWrite(ENOSPC))
            let code = errorCode { () throws(SystemError) in try disk.create("a", content) }
            #expect(code == ENOSPC)
            let left = try #require(disk.readAll("a"))
            #expect(left == Array(content.prefix(left.count)) && left.count < 100, "seed \(seed)")
            lengths.insert(left.count)
        }
        #expect(lengths.count > 10)
    }

    @Test func aFullDiskTakesWhatFits() throws {
        let disk = SimulatedDisk()
        try disk.create("a", [1, 1, 1, 1])
        disk.capacity = 10
        let code = errorCode { () throws(SystemError) in
            try disk.create("b", [2, 2, 2, 2, 2, 2, 2, 2])
        }
        #expect(code == ENOSPC)
        #expect(disk.readAll("b") == [2, 2, 2, 2, 2, 2])
        try disk.open("a", .readWrite).write([3, 3], at: 2)
        try disk.remove("a")
        try disk.open("b", .readWrite).write([4, 4, 4, 4], at: 6)
        #expect(disk.readAll("b") == [2, 2, 2, 2, 2, 2, 4, 4, 4, 4])
    }

    @Test func aFailedOperationOnNamesHasNoEffect() throws {
        let disk = SimulatedDisk()
        try disk.create("a", [1])
        disk.fail(.rename, onFileNamed: "a")
        disk.fail(.remove, onFileNamed: "a")
        #expect(errorCode { () throws(SystemError) in try disk.rename("a", to: "b") } == EIO)
        #expect(errorCode { () throws(SystemError) in try disk.remove("a") } == EIO)
        #expect(disk.allFiles == ["a"])
    }

    // MARK: Damage and traces

    @Test mutating func damageIsDurable() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("d")
        try disk.synchronizeDirectory("/")
        try disk.overwrite("d/a", [1, 2, 3])
        try disk.overwrite("d/gone", [1])
        try disk.flip("d/a", at: 1, mask: 0x80)
        try disk.erase("d/gone")
        #expect(disk.operationCount == 2)
        for _ in 0..<20 {
            disk.crash(.power, using: &random)
            #expect(disk.readAll("d/a") == [1, 0x82, 3])
            #expect(disk.allFiles == ["d/a"])
        }
    }

    @Test func theTraceTellsKindAndPath() throws {
        let disk = SimulatedDisk()
        let file = try disk.create("new", [1])
        try file.synchronize()
        try disk.rename("new", to: "a")
        try disk.synchronizeDirectory("/")
        #expect(
            disk.operations == [
                .init(.open, "new"), .init(.write, "new"), .init(.synchronize, "new"),
                .init(.rename, "new"), .init(.synchronizeDirectory, "/"),
            ])
        disk.clearOperations()
        #expect(disk.operations.isEmpty)
    }

    @Test func sharedMappingsCanBeRuledOut() {
        let disk = SimulatedDisk()
        #expect(disk.supportsSharedMapping("/"))
        disk.supportsSharedMapping = false
        #expect(!disk.supportsSharedMapping("/"))
    }
}
