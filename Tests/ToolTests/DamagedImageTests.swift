import Foundation
import TestSupport
import Testing

/// Every command on damaged stores ends with one of its codes, and never by a signal.
@Suite struct DamagedImageTests {
    private struct Random {
        var state: UInt64

        mutating func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, limit)))
        }
    }

    private func damage(_ fixture: Fixture, _ random: inout Random) throws -> String {
        let snapshots = try FileManager.default.contentsOfDirectory(
            atPath: fixture.path + "/snapshots"
        ).map { fixture.path + "/snapshots/" + $0 }
        let others = ["staging", "store.json", "database.sqlite"].map { fixture.path + "/" + $0 }
        let files = (fixture.segments + snapshots + others).filter {
            FileManager.default.fileExists(atPath: $0)
        }
        let file = files[random.next(files.count)]
        let size = try Data(contentsOf: URL(fileURLWithPath: file)).count
        // Most of staging was never used.
        let offset = random.next(min(size, 8192))
        if random.next(3) == 0 {
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
            try handle.truncate(atOffset: UInt64(offset))
            try handle.close()
            return "\(file) cut at \(offset)"
        }
        try fixture.flip(byte: offset, of: file)
        return "\(file) flipped at \(offset)"
    }

    @Test(arguments: 0..<8)
    func everyCommandEndsWithACode(seed: Int) async throws {
        let fixture = try await seed % 2 == 0 ? Fixture.killed() : Fixture.closed()
        if seed % 4 == 1 { try Tool.run("snapshot", "take", fixture.path) }
        var random = Random(state: UInt64(seed) + 77)
        let what = try damage(fixture, &random)
        for command in ["status", "log", "inspect", "verify", "stats", "recover"] {
            let result = try Tool.run(command, fixture.path)
            #expect(
                [0, 1, 3, 4, 5, 6, 8].contains(result.status),
                "seed \(seed), \(what): \(command) ended with \(result.status): \(result.errors)")
        }
        let verify = try Tool.run("verify", fixture.path, "--database")
        #expect([0, 1, 3, 4, 5].contains(verify.status), "seed \(seed), \(what)")
    }
}
