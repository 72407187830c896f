package import Foundation

/// A command that goes on until it is interrupted.
package final class RunningTool {
    /// All that it printed so far.
    package private(set) var text = ""
    private let process: Process
    private let output: Pipe
    private var seen: String.Index

    package init(_ arguments: String...) throws {
        (process, output, _) = Tool.process(arguments)
        seen = text.startIndex
        try process.run()
    }

    /// Reads on until these words were printed, after the words that were waited for last. False if the command ended.
    package func prints(_ words: String) -> Bool {
        while true {
            if let range = text[seen...].range(of: words) {
                seen = range.upperBound
                return true
            }
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { return false }
            let offset = text.utf8.distance(from: text.startIndex, to: seen)
            text += String(decoding: data, as: UTF8.self)
            seen = text.utf8.index(text.startIndex, offsetBy: offset)
        }
    }

    /// Ends it as Ctrl-C does. Returns how it ended.
    package func interrupt() -> Int32? {
        process.interrupt()
        text += String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : nil
    }
}

/// Runs the built `writebehind` executable, as an operator does.
package struct Tool {
    package struct Result {
        package var status: Int32
        package var output: String
        package var errors: String

        package init(status: Int32, output: String, errors: String) {
            (self.status, self.output, self.errors) = (status, output, errors)
        }

        /// The output with single spaces: lines are broken where a path or an address happens to end.
        package var words: String {
            output.split { $0.isWhitespace }.joined(separator: " ")
        }

        package var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// It is beside the test program.
    package static var executable: URL { product("writebehind") }

    package static func product(_ name: String) -> URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent(name)
    }

    package static func process(_ arguments: [String]) -> (Process, output: Pipe, errors: Pipe) {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["TZ"] = "UTC"
        environment["NO_COLOR"] = "1"
        process.environment = environment
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        return (process, output, errors)
    }

    @discardableResult
    package static func run(_ arguments: String...) throws -> Result {
        try run(arguments)
    }

    package static func run(_ arguments: [String]) throws -> Result {
        try finish(process(arguments))
    }

    /// Runs another product of the package.
    package static func run(program: String, _ arguments: [String]) throws -> Result {
        let command = process(arguments)
        command.0.executableURL = product(program)
        return try finish(command)
    }

    private static func finish(_ command: (Process, output: Pipe, errors: Pipe)) throws -> Result {
        let (process, output, errors) = command
        try process.run()
        // The output on stderr is short, so reading one after the other cannot block.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let said = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: said, as: UTF8.self))
    }

    /// Root may read everything: then the tool runs as another user.
    package static func runAsNobody(_ arguments: [String]) throws -> Result {
        let (process, output, errors) = process(arguments)
        if geteuid() == 0 {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
            process.arguments =
                ["--reuid=65534", "--regid=65534", "--clear-groups", executable.path]
                + arguments
        }
        return try finish((process, output, errors))
    }
}
