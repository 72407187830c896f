import EventLog
import Foundation
import Testing
import WriteBehind
import WriteBehindInspection

@Suite struct WriterProbeTests {
    /// Else no store could be recovered on a machine on which no process holds any lock.
    @Test func whereNobodyHoldsAnyLockThereIsNoWriter() throws {
        let directory = TemporaryStore()
        try FileManager.default.createDirectory(
            atPath: directory.path, withIntermediateDirectories: true)
        let (lock, list) = (directory.path + "/LOCK", directory.path + "/locks")
        for path in [lock, list] { try Data().write(to: URL(filePath: path)) }
        let disk = PosixDisk()
        #expect(WriterProbe.find(lock: lock, on: disk, in: list) == .nobody)
        #expect(WriterProbe.find(lock: lock, on: disk, in: list + "-missing") == .unknown)
    }

    /// The list of locks leaves out those of processes that a container does not see.
    @Test func aWriterOutsideTheNamespaceOfProcessesIsNotTakenForDead() throws {
        let directory = TemporaryStore()
        try FileManager.default.createDirectory(
            atPath: directory.path, withIntermediateDirectories: true)
        let (path, list) = (directory.path + "/LOCK", directory.path + "/locks")
        let namespace = directory.path + "/pid"
        try Data().write(to: URL(filePath: list))
        try FileManager.default.createSymbolicLink(
            atPath: namespace, withDestinationPath: "pid:[4026532177]")
        let disk = PosixDisk()
        func find() -> WriterProbe.Finding {
            WriterProbe.find(lock: path, on: disk, in: list, namespace: namespace)
        }
        var lock = try disk.lock(path).taken
        #expect(lock != nil)
        #expect(find() == .unknown)
        lock = nil
        #expect(find() == .nobody)
        #expect(try disk.lock(path).taken != nil, "looking leaves the lock free")
    }
}
