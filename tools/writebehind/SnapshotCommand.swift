import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind snapshot`: take, list and verify snapshots.
struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take, list and verify snapshots.",
        discussion: """
            Examples:
              writebehind snapshot list airport
              writebehind snapshot verify airport
              writebehind snapshot take airport
            """,
        subcommands: [List.self, Check.self, Take.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the snapshots by their headers.",
            discussion: """
                Example:
                  writebehind snapshot list airport
                """)

        @OptionGroup var store: StoreArgument
        @OptionGroup var json: JSONOption
        @Flag(help: "Times in UTC.")
        var utc = false

        func run() throws {
            try SnapshotReport(isJSON: json.json, clock: Clock(isUTC: utc)).tell(
                try SnapshotVerification(try store.inspect().environment, isWhole: false))
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Read the snapshots to their ends.",
            discussion: """
                Ends with 5 if one is damaged.

                Example:
                  writebehind snapshot verify airport
                """)

        @OptionGroup var store: StoreArgument
        @OptionGroup var json: JSONOption
        @Flag(help: "Times in UTC.")
        var utc = false

        func run() throws {
            try SnapshotReport(isJSON: json.json, clock: Clock(isUTC: utc)).tell(
                try SnapshotVerification(try store.inspect().environment))
        }
    }

    struct Take: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a snapshot of everything, from the last one and the log.",
            usage: "writebehind snapshot take [<options>] <store>",
            discussion: """
                Opens the store for writing, so no other process may have it open; a running
                service makes its own snapshots. A damaged snapshot moves to aside/ first, if
                log and other snapshots are complete without it.

                Example:
                  writebehind snapshot take airport
                """)

        @OptionGroup var store: StoreArgument
        @OptionGroup var postgresql: PostgreSQLOption
        @OptionGroup var json: JSONOption
        @Flag(help: "Times in UTC.")
        var utc = false

        func run() async throws {
            let inspection = try store.inspect()
            for path in try inspection.setDamagedSnapshotsAside() {
                note("note: a damaged snapshot is \(RowName.path(path)) now")
            }
            let opener = try postgresql.opener(for: inspection.identity.storeID)
            let opened = try await ToolStore.open(store.store, opener)
            do {
                try await opened.snapshot()
            } catch {
                _ = try? await opened.close()
                throw error
            }
            try await opened.close()
            try SnapshotReport(isJSON: json.json, clock: Clock(isUTC: utc)).tell(
                try SnapshotVerification(inspection.environment))
        }
    }
}

/// Snapshots as a table or as JSON, one object a line.
struct SnapshotReport {
    let isJSON: Bool
    let clock: Clock

    func tell(_ verification: SnapshotVerification) throws {
        var output = Output()
        let snapshots = verification.snapshots
        if isJSON {
            for snapshot in snapshots { output.line(json(snapshot).text) }
        } else if snapshots.isEmpty {
            output.line("there are no snapshots")
        } else {
            for line in table(snapshots).lines { output.line(line) }
        }
        for snapshot in snapshots {
            guard snapshot.isDamaged, let fault = snapshot.fault, !isJSON else { continue }
            output.line("corrupt ".red.bold + fault)
        }
        output.flush()
        if let obstacle = verification.obstacle { throw obstacle }
        if !verification.damaged.isEmpty { throw ExitStatus.corrupt }
    }

    private func table(_ snapshots: [SnapshotVerification.Snapshot]) -> TextTable {
        var table = TextTable([
            .init(title: "sequence"), .init(title: "rows"), .init(title: "size"),
            .init(title: "reflects", isNumber: false),
        ])
        for snapshot in snapshots {
            table.append([
                "\(snapshot.sequence)", WriteBehindText.count(snapshot.rowCount),
                WriteBehindText.bytes(snapshot.byteCount),
                snapshot.head.map { clock.full($0.time) } ?? (snapshot.isDamaged ? "damaged" : "?"),
            ])
        }
        return table
    }

    private func json(_ snapshot: SnapshotVerification.Snapshot) -> JSON {
        .object([
            ("v", .number(1)), ("sequence", .number(snapshot.sequence)),
            ("rows", .number(snapshot.rowCount)), ("bytes", .number(snapshot.byteCount)),
            ("time", .optional(snapshot.head) { .time($0.time) }),
            ("fault", .optional(snapshot.fault) { .string($0) }),
        ])
    }
}
