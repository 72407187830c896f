import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind quarantine`: lists the commits that the database refused, and deals with them.
struct QuarantineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine",
        abstract: "List the commits that the database refused; retry, give up or correct them.",
        discussion: """
            list and show only read. retry asks the service that has the store open, or
            opens the store itself. skip and correct open the store for writing, so no other
            process may have it open; a running service uses `store.quarantine` instead.
            If the store's database is on a server, they need its address: --postgresql.

            Examples:
              writebehind quarantine list airport
              writebehind quarantine show airport 1042
              writebehind quarantine retry airport
              writebehind quarantine skip airport 1042 --reason 'duplicate of 1040'
            """,
        subcommands: [List.self, Show.self, Retry.self, Skip.self, Correct.self],
        defaultSubcommand: List.self)

    /// The content of quarantine, read from the database.
    static func quarantine(_ store: StoreInspection) throws -> QuarantineIndex {
        switch store.database.state {
        case .missing, .empty: return QuarantineIndex()
        case .elsewhere(let place):
            throw ValidationError(
                "The store's database is \(place), which has the quarantine; give its address with "
                    + "--postgresql.")
        case .readable(let contents): return contents.quarantine
        case .unreadable(let error): throw error
        case .foreign: throw SinkError(.foreignDatabase, "it belongs to another store")
        }
    }

    /// How many other commits are in a commit's group.
    static func others(_ commit: QuarantinedCommit, _ quarantine: QuarantineIndex) -> Int {
        let group = commit.keys.first.flatMap { quarantine.held[$0]?.group }
        return (group.flatMap { quarantine.groups[$0]?.commitCount } ?? 1) - 1
    }

    static func json(
        _ commit: QuarantinedCommit, _ quarantine: QuarantineIndex, _ catalog: Catalog
    ) -> JSON {
        .object([
            ("v", .number(1)), ("sequence", .number(commit.firstSequence)),
            ("records", .number(commit.recordCount)), ("reason", .string(commit.error.message)),
            ("refusedAt", .time(UInt64(max(0, commit.refusedAt)) / 1000)),
            ("attempts", .number(commit.attempts)),
            ("others", .number(others(commit, quarantine))),
            ("rows", .array(commit.keys.map { .string($0.text(catalog)) })),
        ])
    }

    static func tell(_ sequence: UInt64, _ words: String, _ resolution: String, json: Bool) {
        var output = Output()
        output.line(
            json
                ? JSON.object([
                    ("v", .number(1)), ("sequence", .number(sequence)),
                    ("resolution", .string(resolution)),
                ]).text : "#\(sequence) \(words)")
        output.flush()
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the commits in quarantine.",
            usage: "writebehind quarantine list [<options>] <store>",
            discussion: """
                Ends with 3 if there are any. Only the store's writer can read a secondary
                database, so the first twenty commits of that are shown as the writer last
                reported them. So are those of a database on a server, without its address.

                Examples:
                  writebehind quarantine list airport
                  writebehind quarantine list airport --postgresql postgresql:///airport
                  writebehind quarantine list airport --database reports
                """)

        @OptionGroup var store: StoreArgument
        @Option(
            help: ArgumentHelp(
                "The secondary database of this name, instead of the store's own.",
                valueName: "name"))
        var database: String?
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption
        @Flag(help: "Times in UTC.")
        var utc = false

        func run() throws {
            let inspection = try postgresql.inspect(store.store)
            if let database { return try list(database, inspection) }
            if let primary = try StoreSummary(inspection).primary {
                return try list(primary, inspection)
            }
            let quarantine = try QuarantineCommand.quarantine(inspection)
            let commits = quarantine.all
            let catalog = try inspection.fullCatalog()
            var output = Output()
            for commit in commits {
                output.line(
                    json.json
                        ? QuarantineCommand.json(commit, quarantine, catalog).text
                        : line(commit, quarantine, catalog))
            }
            if commits.isEmpty, !json.json { output.line("nothing is in quarantine") }
            output.flush()
            if !commits.isEmpty { throw ExitStatus.warnings }
        }

        private func line(
            _ commit: QuarantinedCommit, _ quarantine: QuarantineIndex, _ catalog: Catalog
        ) -> String {
            let rows = commit.keys.prefix(3).map { $0.text(catalog) }.joined(separator: ", ")
            let more = commit.keys.count > 3 ? " and \(commit.keys.count - 3) more" : ""
            return line(
                commit.firstSequence, UInt64(max(0, commit.refusedAt)) / 1000, rows + more,
                commit.error.message, commit.attempts,
                others: QuarantineCommand.others(commit, quarantine))
        }

        func line(
            _ sequence: UInt64, _ time: UInt64, _ rows: String, _ reason: String, _ attempts: Int,
            others: Int
        ) -> String {
            "#\(sequence)".bold + " \(Clock(isUTC: utc).full(time)) \(rows): "
                + WriteBehindText.message(reason)
                + (attempts > 1 ? " (\(attempts) attempts)" : "")
                + (others > 0 ? "; \(others) more share its rows" : "")
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the records of a commit in quarantine.",
            usage: "writebehind quarantine show [<options>] <store> <sequence>",
            discussion: """
                Example:
                  writebehind quarantine show airport 1042
                """)

        @OptionGroup var store: StoreArgument
        @Argument(help: "The sequence that list shows.")
        var sequence: UInt64
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption

        func run() throws {
            let inspection = try postgresql.inspect(store.store)
            let catalog = try inspection.fullCatalog()
            let quarantine = try QuarantineCommand.quarantine(inspection)
            guard let commit = quarantine.refused[sequence] else {
                throw StoreError.notInQuarantine(sequence: sequence)
            }
            var output = Output()
            if json.json {
                output.line(QuarantineCommand.json(commit, quarantine, catalog).text)
            } else {
                output.line("reason     \(WriteBehindText.message(commit.error.message))")
                output.line("attempts   \(commit.attempts)")
                output.line("others     \(QuarantineCommand.others(commit, quarantine))")
                output.line(
                    "rows       \(commit.keys.map { $0.text(catalog) }.joined(separator: ", "))")
            }
            output.flush()
            var filter = RecordFilter()
            filter.from = sequence
            filter.through = sequence + UInt64(commit.recordCount) - 1
            var printer = LogPrinter(
                filter, form: json.json ? .json : .text, clock: Clock(isUTC: false), limit: nil,
                last: inspection.end, durable: inspection.durable)
            defer { printer.finish() }
            try printer.printForward(inspection, from: sequence, follow: false)
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try all of quarantine again, in order.",
            usage: "writebehind quarantine retry [<options>] <store>",
            discussion: """
                If a service has the store open, its writer is asked to try, and answers
                within about a second, or when it has tried. It tries its secondary
                databases as well; without a writer they are left out.

                Ends with 3 if commits stay in quarantine, with 7 if the writer does not
                answer.

                Example:
                  writebehind quarantine retry airport
                """)

        @OptionGroup var store: StoreArgument
        @Option(
            help: ArgumentHelp(
                "How long to wait for the answer of a running writer.", valueName: "seconds"))
        var timeout = 60.0
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption

        func run() async throws {
            let inspection = try postgresql.inspect(store.store)
            let answer =
                inspection.isLive
                ? try askWriter(inspection)
                : RetryRequest.Answer(try await retryHere(inspection))
            var output = Output()
            if json.json {
                output.line(Self.json(answer).text)
            } else {
                output.line(Self.text(answer.applied, answer.left))
                for part in answer.secondaries {
                    output.line(
                        "\(plain(part.name)): "
                            + (part.error.map(WriteBehindText.message)
                                ?? Self.text(part.applied, part.left)))
                }
            }
            output.flush()
            let isLeft = answer.secondaries.contains { $0.left > 0 || $0.error != nil }
            if answer.left > 0 || isLeft { throw ExitStatus.warnings }
        }

        private static func text(_ applied: Int, _ left: Int) -> String {
            applied + left == 0
                ? "nothing is in quarantine"
                : "\(applied) left quarantine, \(left) stay in quarantine"
        }

        private static func json(_ answer: RetryRequest.Answer) -> JSON {
            .object([
                ("v", .number(1)), ("taken", .number(answer.applied)),
                ("left", .number(answer.left)),
                (
                    "secondaries",
                    .array(
                        answer.secondaries.map {
                            .object([
                                ("name", .string($0.name)), ("taken", .number($0.applied)),
                                ("left", .number($0.left)),
                                ("error", .optional($0.error) { .string($0) }),
                            ])
                        })
                ),
            ])
        }

        private func retryHere(
            _ inspection: StoreInspection
        ) async throws -> Quarantine.Retried {
            let opener = try postgresql.opener(for: inspection.identity.storeID)
            let desk = try await QuarantineDesk(store: store.store, opener)
            do {
                let result = try await desk.retry()
                try await desk.close()
                return result
            } catch {
                try? await desk.close()
                throw error
            }
        }

        /// Leaves a request with the writer and waits for its answer.
        private func askWriter(_ inspection: StoreInspection) throws -> RetryRequest.Answer {
            let interrupts = Interrupts()
            let request = try RetryRequest(inspection.layout, on: inspection.environment.disk)
            let end = ContinuousClock.now + .seconds(timeout)
            if !json.json, isatty(STDERR_FILENO) == 1 {
                note("asked the writer; waiting for its answer")
            }
            while ContinuousClock.now < end, !interrupts.wasInterrupted {
                if let answer = try request.answer() {
                    if let error = answer.error { throw StoreError.database(error) }
                    return answer
                }
                interrupts.sleep(0.1)
            }
            let isUntouched = request.withdraw()
            if interrupts.wasInterrupted { throw Interrupted() }
            note(
                isUntouched
                    ? "error: the writer did not answer within \(WriteBehindText.fixed(timeout, 0)) "
                        + "s and nothing was tried; call `store.quarantine.retry()` in the service, "
                        + "or close it and run this again"
                    : "error: the writer still tries; `quarantine list` shows what is left")
            throw ExitStatus.locked
        }
    }

    struct Skip: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a commit up.",
            usage: """
                writebehind quarantine skip <store> <sequence> --reason <reason>
                    [--with-followers] [--postgresql <url>] [--json]
                """,
            discussion: """
                Its rows become again what the database holds. That is logged with the
                reason. If other commits in quarantine share rows with it, they must be
                given up too, with --with-followers; list says how many there are.

                Example:
                  writebehind quarantine skip airport 1042 --reason 'duplicate of 1040'
                """)

        @OptionGroup var store: StoreArgument
        @Argument(help: "The sequence that list shows.")
        var sequence: UInt64
        @Option(help: "Why; it is kept in the log.")
        var reason: String
        @Flag(help: "Give up the other commits that share its rows as well.")
        var withFollowers = false
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption

        func run() async throws {
            let inspection = try postgresql.inspect(store.store)
            let opener = try postgresql.opener(for: inspection.identity.storeID)
            let desk = try await QuarantineDesk(store: store.store, opener)
            do {
                try await desk.skip(
                    sequence, reason: reason, includingFollowers: withFollowers)
            } catch {
                try? await desk.close()
                throw error
            }
            try await desk.close()
            QuarantineCommand.tell(sequence, "was given up", "skipped", json: json.json)
        }
    }

    struct Correct: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replace a row of a commit by a corrected one.",
            usage: """
                writebehind quarantine correct <store> <sequence> --table <table>
                    --row <row> --reason <reason> [--with-followers]
                    [--postgresql <url>] [--json]
                """,
            discussion: """
                The row must be one that the commit changes; its other rows become again
                what the database holds. --with-followers as for skip.

                Example:
                  writebehind quarantine correct airport 1042 --table flight \\
                    --row '{"number":123,"carrier":"UA","delay":5}' --reason 'typing error'
                """)

        @OptionGroup var store: StoreArgument
        @Argument(help: "The sequence that list shows.")
        var sequence: UInt64
        @Option(help: "The table of the row.")
        var table: String
        @Option(help: "The whole row, as a JSON object.")
        var row: String
        @Option(help: "Why; it is kept in the log.")
        var reason: String
        @Flag(help: "Give up the other commits that share its rows as well.")
        var withFollowers = false
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption

        func run() async throws {
            let inspection = try postgresql.inspect(store.store)
            let definition = try inspection.definition(named: table)
            let values = try RowFile(text: row, schema: definition.schema).onlyRow()
            let opener = try postgresql.opener(for: inspection.identity.storeID)
            let desk = try await QuarantineDesk(store: store.store, opener)
            do {
                try await desk.correct(
                    sequence, table: definition, values: values, reason: reason,
                    includingFollowers: withFollowers)
            } catch {
                try? await desk.close()
                throw error
            }
            try await desk.close()
            QuarantineCommand.tell(sequence, "was corrected", "corrected", json: json.json)
        }
    }
}
