import ArgumentParser
import Foundation

/// Plays real flights through a store and shows what it does.
@main
struct Flightboard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flightboard",
        abstract: "Plays a month of real flights through a write-behind store.",
        usage: "flightboard [<options>]",
        discussion: """
            It measures and checks what the store promises, and leaves the store for you to look at. \
            The exit code is 1 when a check failed.
            """)

    @Option(help: "Where to keep the store. By default in a new temporary directory.")
    var directory: String?

    @Option(help: "A CSV with the columns of nycflights13, plain or .zst. By default January 2013.")
    var flights: String?

    @Option(
        help: ArgumentHelp(
            "Keeps the rows in this empty PostgreSQL database and shows the first part alone.",
            valueName: "url"))
    var postgresql: String?

    @Flag(help: "Plays only the first days of the file.")
    var quick = false

    @Option(
        help: ArgumentHelp("Used by the demo for the process that it kills.", visibility: .hidden))
    var childFrom: Int?

    func run() async throws {
        do {
            try await begin()
        } catch let problem as FlightFile.Problem {
            throw ValidationError(problem.description)
        }
    }

    private func begin() async throws {
        let file = try flights.map { URL(fileURLWithPath: $0) } ?? FlightFile.january()
        var entries = try FlightFile.read(file)
        if quick { entries = Array(entries.prefix(entries.count / 4)) }
        let timetable = Timetable(entries)
        if let childFrom, let directory {
            return try await ChildLoad(directory: directory, timetable: timetable)
                .run(from: childFrom)
        }
        let server = try postgresql.map { try ServerDatabase($0) }
        let load = ["--flights", file.path] + (quick ? ["--quick"] : [])
        var demo = Demo(
            directory: try prepareDirectory(), load: load, timetable: timetable, screen: Screen(),
            server: server)
        try await demo.run()
        if !demo.checks.failures.isEmpty { throw ExitCode.failure }
    }

    /// A directory that is empty or not there yet, for the store.
    private func prepareDirectory() throws -> String {
        let files = FileManager.default
        guard let directory else {
            let name = "flightboard-" + String(UInt32.random(in: .min ... .max), radix: 36)
            return files.temporaryDirectory.appendingPathComponent(name).path
        }
        let url = URL(fileURLWithPath: directory).standardizedFileURL
        let path = url.path
        guard files.fileExists(atPath: path) else {
            let parent = url.deletingLastPathComponent()
            try files.createDirectory(at: parent, withIntermediateDirectories: true)
            return path
        }
        guard let contents = try? files.contentsOfDirectory(atPath: path) else {
            throw problem("\(path) is no directory that can be read.")
        }
        guard contents.isEmpty else {
            throw problem("\(path) is not empty. Name a new directory, or empty this one.")
        }
        return path
    }

    private func problem(_ text: String) -> FlightFile.Problem {
        FlightFile.Problem(description: text)
    }
}
