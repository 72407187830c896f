import Foundation
import Glibc
import TestSupport
import Testing

/// Special files, or files that claim to be huge, in the place of one of the store's files: no command waits for them
/// or reads what is not there.
@Suite struct SpecialFileTests {
    enum Kind: CaseIterable, Sendable {
        case fifo, socket, directory

        func put(at path: String) {
            switch self {
            case .fifo: #expect(mkfifo(path, 0o600) == 0)
            case .directory: #expect(mkdir(path, 0o700) == 0)
            case .socket:
                let number = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                defer { close(number) }
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { target in
                    target.copyBytes(from: path.utf8.prefix(target.count - 1))
                }
                let result = withUnsafeBytes(of: &address) { bytes in
                    bind(
                        number, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                        socklen_t(MemoryLayout<sockaddr_un>.size))
                }
                #expect(result == 0)
            }
        }
    }

    static let files = [
        "LOCK", "store.json", "staging", "clean-end", "log-start", "segment", "snapshot",
        "database.sqlite", "database.sqlite-wal", "log", "snapshots", "aside",
    ]

    private func path(of file: String, in fixture: Fixture) throws -> String {
        switch file {
        case "segment": return fixture.segments[0]
        case "snapshot":
            let directory = fixture.path + "/snapshots/"
            let names = try FileManager.default.contentsOfDirectory(atPath: directory)
            return directory + (names.first ?? "00000000000000000007.zst")
        default: return fixture.path + "/" + file
        }
    }

    /// Opening among them: that is what the last one does.
    static let commands = [
        ["status"], ["verify", "--database"], ["inspect"], ["log"], ["recover"],
        ["recover", "--apply"],
    ]

    @Test(.timeLimit(.minutes(5)), arguments: files, Kind.allCases)
    func noCommandWaitsForASpecialFile(file: String, kind: Kind) async throws {
        if kind == .directory, ["log", "snapshots", "aside"].contains(file) { return }
        let fixture = try await file == "staging" ? Fixture.killed() : Fixture.closed()
        let path = try path(of: file, in: fixture)
        try? FileManager.default.removeItem(atPath: path)
        kind.put(at: path)
        // The others differ in nothing that opening does not do as well.
        let commands = kind == .fifo ? Self.commands : [["verify"], ["recover", "--apply"]]
        for command in commands {
            let result = try Tool.run(command + [fixture.path])
            #expect(
                [0, 1, 3, 4, 5, 8].contains(result.status),
                "\(command): \(result.status) \(result.output)\(result.errors)")
        }
    }

    /// The peak of all children so far, bytes.
    private var peak: Int {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        return usage.ru_maxrss << 10
    }

    @Test(arguments: ["staging", "clean-end", "store.json", "snapshot"])
    func aSparseFileTakesNoMemory(file: String) async throws {
        let fixture = try await file == "staging" ? Fixture.killed() : Fixture.closed()
        let path = try path(of: file, in: fixture)
        if !FileManager.default.fileExists(atPath: path) {
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
        }
        try #require(truncate(path, 4 << 30) == 0)
        for command in Self.commands {
            let result = try Tool.run(command + [fixture.path])
            #expect(
                [0, 1, 3, 4, 5, 8].contains(result.status),
                "\(command): \(result.status) \(result.output)\(result.errors)")
        }
        // A child starts as large as the process of the tests, which may be a gigabyte. The file is four.
        #expect(peak < 2 << 30, "\(peak)")
    }
}
