import ArgumentParser
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind changes`: the change streams of a store.
struct ChangesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "changes",
        abstract: "List the change streams of a store, or remove one.",
        discussion: """
            The log is kept for a change stream until it is removed, up to a limit. list
            only reads. remove opens the store for writing, so no other process may have
            it open; a running service calls `store.removeChangeStream(named:)` instead.

            Examples:
              writebehind changes list airport
              writebehind changes remove airport webhook
            """,
        subcommands: [List.self, Remove.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the change streams, and how far each has acknowledged.",
            discussion: """
                Ends with 3 if one of them cannot go on.

                Example:
                  writebehind changes list airport
                """)

        @OptionGroup var store: StoreArgument
        @OptionGroup var json: JSONOption

        func run() throws {
            let list = try StreamList(try store.inspect())
            var output = Output()
            if let fault = list.fault {
                output.line(
                    json.json
                        ? JSON.object([("v", .number(1)), ("fault", .string(fault))]).text
                        : "change-streams cannot be used: \(fault)".red)
            }
            for stream in list.streams {
                output.line(
                    json.json
                        ? JSON.object([("v", .number(1))] + StatusReport.keys(stream)).text
                        : StatusReport.text(stream))
            }
            if list.streams.isEmpty, list.fault == nil, !json.json {
                output.line("there are no change streams")
            }
            output.flush()
            if list.fault != nil || list.streams.contains(where: { $0.fault != nil }) {
                throw ExitStatus.warnings
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a change stream: no log is kept for it any more.",
            usage: "writebehind changes remove [<options>] <store> <name>",
            discussion: """
                Its consumer loses its place. A stream that is made again under this name
                starts again.

                Example:
                  writebehind changes remove airport webhook
                """)

        @OptionGroup var store: StoreArgument
        @Argument(help: "The stream's name.")
        var name: String
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption

        func run() async throws {
            let inspection = try store.inspect()
            let opener = try postgresql.opener(for: inspection.identity.storeID)
            let wasThere = try await StreamRemoval.remove(name, of: store.store, opener)
            var output = Output()
            output.line(
                json.json
                    ? JSON.object([
                        ("v", .number(1)), ("name", .string(name)), ("removed", .bool(wasThere)),
                    ]).text
                    : plain(name) + (wasThere ? " was removed" : ": there is no such stream"))
            output.flush()
            if !wasThere { throw ExitStatus.error }
        }
    }
}
