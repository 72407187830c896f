import Foundation
import TestSupport
import Testing

/// The output of `--help` on a terminal of 80 columns, which the argument parser fills without asking.
@Suite struct HelpTests {
    @Test(arguments: [
        [], ["status"], ["log"], ["history"], ["diff"], ["inspect"], ["stats"], ["verify"],
        ["recover"],
        ["replay"], ["quarantine"], ["quarantine", "list"], ["quarantine", "show"],
        ["quarantine", "retry"],
        ["quarantine", "skip"], ["quarantine", "correct"], ["snapshot"], ["snapshot", "list"],
        ["snapshot", "verify"], ["snapshot", "take"], ["undo"], ["import"],
        ["changes"], ["changes", "list"], ["changes", "remove"],
    ])
    func helpFitsATerminalOf80Columns(command: [String]) throws {
        let (process, output, _) = Tool.process(command + ["--help"])
        process.environment?["COLUMNS"] = "80"
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let lines = String(decoding: text, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        for line in lines { #expect(line.count <= 80, "\(command): \(line)") }
        // Wrapped text starts at the margin; examples and their continuations do not.
        guard let start = lines.firstIndex(where: { $0.hasPrefix("Example") }) else { return }
        for line in lines[(start + 1)...].prefix(while: { !$0.isEmpty }) {
            #expect(line.hasPrefix("  "), "\(command): \(line)")
        }
    }
}
