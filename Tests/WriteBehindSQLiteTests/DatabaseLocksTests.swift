import EventLog
import Foundation
import Testing
import WriteBehindSQLite

/// The holders of SQLite's locks, in the kernel's words.
@Suite struct DatabaseLocksTests {
    private let seven = KernelFile(inode: 7, device: KernelFile.Device(0xfe, 1))

    private func locks(file: String = "", shared: String = "") -> DatabaseLocks {
        DatabaseLocks(file: FileLocks(seven, in: file), sharedMemory: FileLocks(seven, in: shared))
    }

    @Test(arguments: [
        ("1: POSIX  ADVISORY  WRITE 812 fe:01:7 120 120", 812),
        ("1: POSIX  ADVISORY  READ  812 fe:01:7 120 120", nil),
        ("1: POSIX  ADVISORY  WRITE 812 fe:01:7 124 124", nil),
        ("1: POSIX  ADVISORY  WRITE 812 fe:01:17 120 120", nil),
        ("1: POSIX  ADVISORY  WRITE 812 fe:02:7 120 120", nil),
        ("1: POSIX  ADVISORY  WRITE 812 00:1f:7 120 120", nil),
        ("1: -> POSIX  ADVISORY  WRITE 812 fe:01:7 120 120", nil), ("", nil),
    ])
    func theKernelsListIsReadToTheInode(line: String, process: Int?) {
        #expect(locks(shared: line).writer == process)
    }

    @Test func theWriteLockOfTheSharedMemoryNamesTheWriter() {
        let list = """
            0: FLOCK  ADVISORY  WRITE 15 fe:01:7 0 EOF
            1: POSIX  ADVISORY  READ 11 fe:01:7 123 123
            2: POSIX  ADVISORY  WRITE 12 fe:01:7 120 120
            2: -> POSIX  ADVISORY  WRITE 13 fe:01:7 120 120
            3: POSIX  ADVISORY  WRITE 14 fe:01:8 120 120
            """
        #expect(locks(shared: list).writer == 12)
        #expect(locks(shared: list).readers == [11])
    }

    @Test func aCheckpointIsNoWriterAndAMarkBeingSetIsNoReader() {
        let list = """
            1: POSIX  ADVISORY  WRITE 12 fe:01:7 121 121
            2: POSIX  ADVISORY  WRITE 12 fe:01:7 124 124
            """
        #expect(locks(shared: list) == locks())
    }

    @Test func aDatabaseThatIsLockedAsAWholeNamesItsHolder() {
        let list = "1: POSIX  ADVISORY  WRITE 12 fe:01:7 1073741824 1073742335"
        #expect(locks(file: list).writer == 12)
        #expect(locks(file: "1: OFDLCK ADVISORY  WRITE -1 fe:01:7 0 EOF").writer == -1)
    }

    @Test func aStoppedProcessIsSeenAsStopped() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sleep")
        process.arguments = ["60"]
        try process.run()
        defer { process.terminate() }
        let number = Int(process.processIdentifier)
        kill(process.processIdentifier, SIGSTOP)
        let end = ContinuousClock.now + .seconds(30)
        while ProcessLook(number).state != "T", ContinuousClock.now < end {
            Thread.sleep(forTimeInterval: 0.01)
        }
        #expect(ProcessLook(number).state == "T")
        #expect(ProcessLook(number).name == "\(number) (sleep)")
        kill(process.processIdentifier, SIGCONT)
    }
}
