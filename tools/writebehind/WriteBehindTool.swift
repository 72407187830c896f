import ArgumentParser

/// The root command. Each subcommand has a file of its own.
struct WriteBehindTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "writebehind",
        abstract: "Inspect, check and repair write-behind stores.",
        discussion: """
            STORE is the directory of a store. Commands that read work on a store that
            is being written, was closed, or is damaged; they never take its lock and
            change nothing.

            Exit codes: 0 done, 1 error, 2 usage, 3 done with loss or warnings, 4 torn,
            5 corrupt or drifted, 6 target not reached, 7 locked, 8 unsupported format,
            9 stalled.
            """,
        version: "0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "Looking",
                subcommands: [
                    Status.self, LogCommand.self, History.self, Diff.self, Inspect.self, Stats.self,
                ]),
            CommandGroup(
                name: "Checking and repairing",
                subcommands: [
                    Verify.self, Recover.self, ReplayCommand.self, QuarantineCommand.self,
                    SnapshotCommand.self, ChangesCommand.self,
                    Undo.self, Import.self,
                ]),
        ])
}
