import Foundation
import Testing

/// The short form of `crashtest`: real processes, killed.
@Suite struct CrashtestTests {
    /// A product of this build; the test runner stands beside it.
    static func product(_ name: String) throws -> URL {
        let runner = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? runner
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: name)
    }

    @Test func nothingAcknowledgedIsLostByTenKills() throws {
        let process = Process()
        process.executableURL = try Self.product("crashtest")
        process.arguments = ["--rounds", "10"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(String(decoding: output, as: UTF8.self))")
    }
}
