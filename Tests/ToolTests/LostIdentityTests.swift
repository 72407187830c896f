import Foundation
import TestSupport
import Testing
import WriteBehind

/// A lost store.json has a way back, and what may not be read is not called "not a store".
@Suite struct LostIdentityTests {
    @Test(arguments: ["missing", "empty", "garbage"])
    func aLostIdentityIsWrittenAgainFromTheLog(what: String) async throws {
        let fixture = try await Fixture.killed()
        let path = fixture.path + "/store.json"
        let before = try String(contentsOfFile: path, encoding: .utf8)
        switch what {
        case "missing": try FileManager.default.removeItem(atPath: path)
        case "empty": try Data().write(to: URL(fileURLWithPath: path))
        default: try Data("{\"uuid\":".utf8).write(to: URL(fileURLWithPath: path))
        }
        let status = try Tool.run("status", fixture.path)
        #expect(status.status == 1)
        #expect(status.errors.contains("`writebehind recover` writes it again"), "\(status.errors)")
        let plan = try Tool.run("recover", fixture.path)
        #expect(plan.status == 5, "\(plan.output)\(plan.errors)")
        #expect(plan.output.contains("write store.json again"), "\(plan.output)")
        #expect(FileManager.default.fileExists(atPath: path) == (what != "missing"))
        let applied = try Tool.run("recover", fixture.path, "--apply")
        #expect(applied.status == 0, "\(applied.output)\(applied.errors)")
        let after = try String(contentsOfFile: path, encoding: .utf8)
        #expect(after.suffix(50) == before.suffix(50), "the same UUID: \(after)")
        let kept = try FileManager.default.contentsOfDirectory(
            atPath: fixture.path + "/aside")
        #expect(kept.contains { $0.hasSuffix(".store.json") } == (what != "missing"))
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func filesOfTwoStoresTellOfNone() async throws {
        let (fixture, other) = (try await Fixture.closed(), try await Fixture.closed())
        try FileManager.default.removeItem(atPath: fixture.path + "/store.json")
        try FileManager.default.copyItem(
            atPath: other.segments[0], toPath: fixture.path + "/log/00000000000000000077.zst")
        let result = try Tool.run("recover", fixture.path, "--apply")
        #expect(result.status == 1, "\(result.output)\(result.errors)")
        #expect(result.errors.contains("its log is of several stores"), "\(result.errors)")
    }

    @Test func aNewerFormatIsNotDamaged() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + "/store.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacing("\"format\":1", with: "\"format\":2")
            .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try Tool.run("recover", fixture.path, "--apply").status == 8)
    }

    @Test func aSymbolicLinkIsNamedAsOne() async throws {
        let fixture = try await Fixture.closed()
        let link = fixture.path + "-link"
        defer { try? FileManager.default.removeItem(atPath: link) }
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: fixture.path)
        let writing = try Tool.run("snapshot", "take", link)
        #expect(writing.status == 1)
        #expect(writing.errors.contains("\(link): it is a symbolic link"), "\(writing.errors)")
        #expect(try Tool.run("status", link).status == 0, "reading may follow it")
        let identity = fixture.path + "/store.json"
        try FileManager.default.moveItem(atPath: identity, toPath: identity + ".moved")
        try FileManager.default.createSymbolicLink(
            atPath: identity, withDestinationPath: identity + ".moved")
        let reading = try Tool.run("status", fixture.path)
        #expect(reading.errors.contains("store.json: it is a symbolic link"), "\(reading.errors)")
        #expect(!reading.errors.contains("is not a store"))
    }

    @Test func aMissingRightIsNotSomethingElse() async throws {
        guard geteuid() != 0 || access("/usr/bin/setpriv", X_OK) == 0 else { return }
        let fixture = try await Fixture.closed()
        for command in [["status"], ["log"], ["verify"], ["recover"], ["stats"], ["inspect"]] {
            let result = try Tool.runAsNobody(command + [fixture.path])
            #expect(result.status == 1, "\(command)")
            #expect(result.errors.contains("Permission denied"), "\(result.errors)")
            #expect(!result.errors.contains("is not a store"), "\(result.errors)")
        }
    }
}
