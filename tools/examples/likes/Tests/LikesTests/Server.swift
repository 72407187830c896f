import Foundation

/// The built server as a process.
final class Server {
    struct DidNotStart: Error {}

    let client = Client(port: .random(in: 20_000..<30_000))
    private let directory: String
    private var process = Process()

    init(_ directory: String) {
        self.directory = directory
    }

    /// Starts it, and waits until it answers.
    func start() async throws {
        process = Process()
        // The server's program is beside the test program.
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("likes")
        process.arguments = [directory, "\(client.port)"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        while process.isRunning {
            do {
                let _: Probe = try await client.call(.GET, "/health")
                return
            } catch let refused as Client.Refused {
                throw refused
            } catch {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        throw DidNotStart()
    }

    /// Ends it as `kill -9` does.
    func kill() async throws {
        Foundation.kill(process.processIdentifier, SIGKILL)
        try await end()
    }

    /// Ends it with SIGTERM, as an orchestrator does.
    func shutDown() async throws -> Bool {
        process.terminate()
        try await end()
        return process.terminationReason == .exit && process.terminationStatus == 0
    }

    private func end() async throws {
        while process.isRunning { try await Task.sleep(for: .milliseconds(5)) }
    }
}
