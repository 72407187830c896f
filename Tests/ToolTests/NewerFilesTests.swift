import Foundation
import TestSupport
import Testing

/// A file that a newer version wrote is never called damaged: it is left alone.
@Suite struct NewerFilesTests {
    /// Sets the format version of a file, in all copies of it, to 2.0; its checksum is wrong then.
    private func renew(_ file: String, at offsets: [Int]) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
        for offset in offsets {
            try handle.seek(toOffset: UInt64(offset))
            try handle.write(contentsOf: Data([0, 0, 2, 0]))
        }
        try handle.close()
    }

    private func made(_ file: String) async throws -> Fixture {
        switch file {
        case "staging":
            let fixture = try await Fixture.killed()
            try renew(fixture.path + "/staging", at: [4, 4100])
            return fixture
        case "segment":
            let fixture = try await Fixture.closed()
            try renew(fixture.segments[0], at: [72])
            return fixture
        case "snapshot":
            let fixture = try await Fixture.closed()
            try #require(try Tool.run("snapshot", "take", fixture.path).status == 0)
            let names = try FileManager.default.contentsOfDirectory(
                atPath: fixture.path + "/snapshots")
            try renew(fixture.path + "/snapshots/" + names[0], at: [72])
            return fixture
        default:
            let fixture = try await Fixture.closed()
            try renew(fixture.path + "/" + file, at: [4, 4100])
            return fixture
        }
    }

    @Test(arguments: ["staging", "segment", "clean-end"])
    func everyCommandEndsWithUnsupported(file: String) async throws {
        let fixture = try await made(file)
        let before = try fixture.contents()
        for command in [
            ["verify"], ["inspect"], ["log"], ["status"], ["recover"], ["recover", "--apply"],
        ] {
            let result = try Tool.run(command + [fixture.path])
            #expect(result.status == 8, "\(command): \(result.output)\(result.errors)")
            #expect(result.errors.contains("version 2.0"), "\(command): \(result.errors)")
        }
        #expect(try fixture.contents() == before)
    }

    /// The log alone is enough for the others.
    @Test func aSnapshotOfANewerVersionIsUnsupportedToWhatReadsIt() async throws {
        let fixture = try await made("snapshot")
        let before = try fixture.contents()
        for command in [
            ["verify"], ["verify", "--database"], ["snapshot", "list"], ["snapshot", "verify"],
            ["recover"], ["recover", "--apply"],
        ] {
            let result = try Tool.run(command + [fixture.path])
            #expect(result.status == 8, "\(command): \(result.output)\(result.errors)")
            #expect(!result.output.contains("corrupt"), "\(command): \(result.output)")
        }
        for command in ["inspect", "log", "status"] {
            #expect(try Tool.run(command, fixture.path).status == 0, "\(command)")
        }
        #expect(try fixture.contents() == before)
    }
}
