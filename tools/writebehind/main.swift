import ArgumentParser
import EventLog
import Foundation
import WriteBehind
import WriteBehindCore

/// Runs the command that the arguments name and ends with the tool's own exit codes.
func run() async -> Int32 {
    do {
        var command = try WriteBehindTool.parseAsRoot()
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command.run()
        }
        return ExitStatus.done.rawValue
    } catch let status as ExitStatus {
        return status.rawValue
    } catch is Interrupted {
        return 130  // as a shell reports an end by SIGINT
    } catch let error as ValidationError {
        // The command has already begun, so the parser would show the usage of the root command.
        note("error: \(error.message)")
        return ExitStatus.usage.rawValue
    } catch {
        return report(error)
    }
}

/// Prints on stderr what went wrong, or on stdout the requested text (help, version).
func report(_ error: any Error) -> Int32 {
    let parserCode = WriteBehindTool.exitCode(for: error)
    if parserCode.isSuccess || parserCode == .validationFailure {
        let text = escapingControls(WriteBehindTool.fullMessage(for: error)) + "\n"
        let target: FileHandle = parserCode.isSuccess ? .standardOutput : .standardError
        target.write(Data(text.utf8))
        return parserCode.isSuccess ? ExitStatus.done.rawValue : ExitStatus.usage.rawValue
    }
    let text = words(of: error)
    note("error: \(text)" + remedy(text))
    return ExitStatus(error).rawValue
}

private func words(of error: any Error) -> String {
    // Its kind and its code say nothing more to a reader.
    if let error = error as? SinkError { return "the database: \(error.message)" }
    return FileProblem(error)?.description ?? "\(error)"
}

/// Advice if a permission is missing, whichever layer reports it.
func remedy(_ text: String) -> String {
    let reasons = [EACCES, EPERM].map { unsafe String(cString: strerror($0)) }
    return reasons.contains { text.hasSuffix($0) }
        ? "; run it as the user who owns the store, or as root" : ""
}

exit(await run())
