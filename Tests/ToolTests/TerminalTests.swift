import Foundation
import TestSupport
import Testing
import WriteBehind

/// The content of a store, and its name, never steer the terminal that shows them. (CSV is for
/// programs, and has no way to escape: it hands on what is there.)
@Suite struct TerminalTests {
    struct Evil: TableRow {
        typealias Key = String
        /// Clears the screen, sets the title, rings, turns the line around.
        static let text = "\u{1B}[2J\u{1B}]0;x\u{7}\u{9B}31m\u{202E}\r\u{8}"
        static let schema = WriteBehind.TableSchema(
            "t" + text, [.key("k" + text, .text), .column("v" + text, .text)])
        var key: String
        var value: String

        init(key: String, value: String) { (self.key, self.value) = (key, value) }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(key)
            encoder.encode(value)
        }

        init(from decoder: inout RowDecoder) throws {
            key = try decoder.decode()
            value = try decoder.decode()
        }
    }

    private func expectQuiet(_ arguments: String...) throws {
        let (process, output, errors) = Tool.process(arguments)
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let what = "\(arguments.map { StoredValue.text($0).description })"
        #expect(!said.isEmpty || !complained.isEmpty, "\(what) says nothing")
        let raw = String(decoding: said + complained, as: UTF8.self).unicodeScalars.filter {
            scalar in
            switch scalar.properties.generalCategory {
            case .control, .format: scalar != "\n" && scalar != "\t"
            default: false
            }
        }
        #expect(raw.isEmpty, "\(what) hands on \(Set(raw.map { String($0.value, radix: 16) }))")
    }

    /// A store with such names, values and marks, in a directory of such a name.
    private func store() async throws -> (path: String, remove: String) {
        let parent = FileManager.default.temporaryDirectory.path + "/wbtool-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: parent, withIntermediateDirectories: true)
        let path = parent + "/s" + Evil.text
        var configuration = StoreConfiguration()
        configuration.stagingSlotSize = 1 << 20
        configuration.cacheLimit = 16 << 20
        let store = try await Store(at: path, configuration: configuration)
        let table = try store.table(Evil.self)
        try table.put(Evil(key: Evil.text, value: Evil.text))
        try store.mark("m" + Evil.text)
        try await table.update(Evil.text) { $0.value += "!" }
        try await store.waitForAll(.materialized, timeout: .seconds(300))
        try await store.snapshot()
        try await store.close()
        return (path, parent)
    }

    @Test func noCommandHandsControlCharactersOn() async throws {
        let (path, parent) = try await store()
        defer { try? FileManager.default.removeItem(atPath: parent) }
        let table = Evil.schema.name
        for command in ["status", "log", "inspect", "stats", "recover", "verify", "snapshot"] {
            try expectQuiet(command, path)
        }
        try expectQuiet("verify", path, "--database")
        try expectQuiet("log", path, "--json")
        try expectQuiet("history", path, table, Evil.text)
        try expectQuiet("history", path, table, "none" + Evil.text)
        try expectQuiet("history", path, "none" + Evil.text, "1")
        try expectQuiet("diff", path, "1", "end")
        try expectQuiet("diff", path, "m" + Evil.text, "end", "--json")
        try expectQuiet("diff", path, "none" + Evil.text, "end")
        try expectQuiet("quarantine", "list", path)
        try expectQuiet("quarantine", "show", path, "77")
    }

    @Test func noErrorHandsControlCharactersOn() async throws {
        let (path, parent) = try await store()
        defer { try? FileManager.default.removeItem(atPath: parent) }
        try expectQuiet("status", parent + "/none" + Evil.text)
        try expectQuiet("sta" + Evil.text)
        try expectQuiet("status", path, "--" + Evil.text)
        try expectQuiet("log", path, "--format", Evil.text)
        // A damaged segment, and a database that is none.
        let segment = path + "/log/00000000000000000001.zst"
        let bytes = try Data(contentsOf: URL(filePath: segment))
        try (bytes.prefix(200) + Data(repeating: 1, count: 100) + bytes.dropFirst(300))
            .write(to: URL(filePath: segment))
        try Data(repeating: 0x55, count: 8192).write(to: URL(filePath: path + "/database.sqlite"))
        for command in ["status", "log", "inspect", "stats", "recover", "verify", "snapshot"] {
            try expectQuiet(command, path)
        }
        try expectQuiet("verify", path, "--database")
    }
}
