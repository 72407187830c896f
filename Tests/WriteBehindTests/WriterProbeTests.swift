import Foundation
import Testing
import WriteBehind

@Suite struct WriterProbeTests {
    /// Else no store could be recovered on a machine on which nobody holds any lock.
    @Test func whereNobodyHoldsAnyLockThereIsNoWriter() throws {
        let directory = TemporaryStore()
        try FileManager.default.createDirectory(
            atPath: directory.path, withIntermediateDirectories: true)
        let (lock, list) = (directory.path + "/LOCK", directory.path + "/locks")
        for path in [lock, list] { try Data().write(to: URL(filePath: path)) }
        #expect(WriterProbe.find(lock: lock, in: list) == .nobody)
        #expect(WriterProbe.find(lock: lock, in: list + "-missing") == .unknown)
    }
}
