import Foundation
import TestSupport
import Testing

/// The short form of `crashtest`: real processes, killed.
@Suite struct CrashtestTests {
    /// A product of this build; the test runner is beside it.
    static func product(_ name: String) throws -> URL {
        let runner = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? runner
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: name)
    }

    private func run(_ arguments: String...) throws {
        try run(Self.product("crashtest"), arguments)
    }

    private func run(_ program: URL, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(String(decoding: output, as: UTF8.self))")
    }

    @Test func nothingAcknowledgedIsLostByTenRoundsOfKills() throws {
        try run("--rounds", "10")
    }

    /// In namespaces of its own: when the process ends, its children and mounts go with it, and the
    /// loop devices with the mounts.
    @Test(
        .enabled(if: LoopDevices.areUsable, "for root, with loop devices, mkfs.xfs and mkfs.ext4"))
    func nothingDurableIsLostWhenPowerFailsOnARealFileSystem() async throws {
        let directory = TemporaryStore()
        let arguments = [
            "--mount", "--mount-proc", "--pid", "--fork", "--kill-child",
            try Self.product("crashtest").path, "--power", "--file-system", "ext4",
            "--rounds", "5", "--seconds", "5", "--directory", directory.path,
        ]
        try run(LoopDevices.unshare, arguments)
        // The kernel releases them soon after.
        #expect(try await eventually { try !LoopDevices.used().contains(directory.path) })
    }

    @Test(
        .disabled(if: isSanitized, "what a sanitizer takes is counted as the program's"),
        arguments: ["hot", "distinct"])
    func memoryStaysBoundedWhileTheDatabaseIsLockedAndAfterReopening(keys: String) throws {
        let directory = TemporaryStore()
        try run("memory", directory.path, "--keys", keys)
        try run("memory", directory.path, "--reopening")
    }
}
