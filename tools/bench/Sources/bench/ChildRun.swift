import Foundation

/// One run in a process of its own: `bench measure`, which prints its measurement as JSON.
final class ChildRun {
    private let process = Process()
    private let output = Pipe()

    init(
        workload: String, _ contender: Contender, _ setting: Workload.Setting,
        environment: [String: String] = [:]
    ) throws {
        let setting = String(decoding: try JSONEncoder().encode(setting), as: UTF8.self)
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["measure", workload, contender.rawValue, setting]
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = output
        try process.run()
    }

    /// Waits for its end. Returns the signal that ended it, or its exit status.
    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    func measurement() throws -> Measurement {
        let data = output.fileHandleForReading.readDataToEndOfFile()
        guard wait() == 0 else { throw PeerError("bench", "a run failed") }
        return try JSONDecoder().decode(Measurement.self, from: data)
    }
}
