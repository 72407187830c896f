import EventLog
import Foundation
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// A read-only container: the store's directory can be written, and nothing else.
@Suite struct SQLiteTemporaryFileTests {
    /// Goes where only the returned directory can be written, as a user without rights.
    private static func enterContainer() throws -> String {
        let root = NSTemporaryDirectory() + "/container-" + UUID().uuidString
        let store = root + "/store"
        try FileManager.default.createDirectory(
            atPath: store, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        let nobody: uid_t = 65_534
        guard chown(store, nobody, nobody) == 0, chroot(root) == 0, chdir("/") == 0,
            setgid(nobody) == 0, setuid(nobody) == 0, access("/", W_OK) != 0
        else { throw CocoaError(.fileNoSuchFile) }
        return "/store"
    }

    @Test(.enabled(if: geteuid() == 0, "only root may change its root directory"))
    func whatIsUndoneAloneNeedsNoTemporaryFile() async {
        await #expect(processExitsWith: .success) {
            let sink = try SinkFixture.open(Self.enterContainer() + "/database.sqlite")
            try sink.define(SinkFixture.person, through: Watermark(sequence: 1, chain: 1))
            func commit(_ first: Int, _ name: String, _ last: [Change] = []) throws -> OrderedCommit
            {
                let changes = try (0..<5_000).map { try Change.person($0, name) } + last
                return OrderedCommit(
                    firstSequence: UInt64(first), recordCount: changes.count,
                    records: changes.flatMap(\.record))
            }
            let name = String(repeating: "n", count: 200)
            let through = Watermark(sequence: 10_001, chain: 2)
            _ = try sink.applyInOrder(
                [commit(2, name), commit(5_002, "x" + name)], through: through)
            let missing = try [Change.patch(9_999, [ColumnChange(column: 1, value: .integer(1))])]
            let refused = try sink.applyInOrder(
                [commit(10_002, "y" + name, missing)],
                through: Watermark(sequence: 15_002, chain: 3))
            guard refused.added.count == 1 else { exit(1) }
            try sink.close()
        }
    }
}
