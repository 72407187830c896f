import ArgumentParser
import EventLog
import WriteBehind
import WriteBehindInspection

/// `writebehind undo`: takes one commit back.
struct Undo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the records that take one commit back; with --apply, write them.",
        usage: "writebehind undo [<options>] <store> <sequence>",
        discussion: """
            Prints the records that give the commit's rows the values that they had
            before it. Columns that it left alone stay as they are now. Nothing is
            deleted from the log: with --apply the records are written as one new
            commit, for which the store must be closed. What the commit added to a row is
            subtracted, and later adds to that row are kept.

            If a later commit changed the same rows, it is named, the command ends
            with 3, and --apply is refused unless --overwrite-later is given.

            Examples:
              writebehind undo airport 1042
              writebehind undo airport 1042 --apply
              writebehind undo airport 1042 --apply --overwrite-later
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "A sequence number of the commit, 1042 or '#1042'.")
    var sequence: String
    @Flag(help: "Write it, as a new commit.")
    var apply = false
    @Flag(help: "Write it even if later changes of the same rows are lost.")
    var overwriteLater = false
    @OptionGroup var postgresql: PostgreSQLOption
    @OptionGroup var json: JSONOption
    @Flag(help: "Times in UTC, each with its date.")
    var utc = false

    private var number: UInt64? {
        UInt64(sequence.hasPrefix("#") ? String(sequence.dropFirst()) : sequence)
    }

    func validate() throws {
        guard number != nil else {
            throw ValidationError("\(WriteBehindText.quoted(sequence)) is no sequence number.")
        }
        if overwriteLater, !apply { throw ValidationError("--overwrite-later goes with --apply.") }
    }

    func run() async throws {
        let inspection = try store.inspect()
        let number = number ?? 0
        guard apply else {
            let plan = try UndoPlan(
                number, inspection.history(), limit: LogOptions().rawBlockBound)
            show(plan)
            tell(plan)
            if inspection.end > inspection.readable {
                note(
                    "note: commits after #\(inspection.readable) are in the write buffer only and "
                        + "were not looked at")
            }
            if plan.later != nil { throw ExitStatus.warnings }
            return try ExitStatus(inspection).check()
        }
        let opener = try postgresql.opener(for: inspection.identity.storeID)
        let desk = try await UndoDesk(store: store.store, opener)
        do {
            try await write(number, desk)
        } catch {
            _ = try? await desk.close()
            throw error
        }
        try await desk.close()
    }

    private func write(_ number: UInt64, _ desk: UndoDesk) async throws {
        let plan = try await desk.plan(number)
        if plan.later != nil, !overwriteLater {
            show(plan)
            tell(plan)
            note("error: nothing was written; --overwrite-later writes it all the same")
            throw ExitStatus.error
        }
        guard !plan.changes.isEmpty else { return tell(plan) }
        let written = try await desk.apply(plan)
        show(plan)
        tell(plan)
        note(
            "written as \(Self.range(written)); "
                + "`undo \(written.lowerBound)` takes that back")
    }

    private static func range(_ sequences: ClosedRange<UInt64>) -> String {
        sequences.count == 1
            ? "#\(sequences.lowerBound)" : "#\(sequences.lowerBound) to #\(sequences.upperBound)"
    }

    private func show(_ plan: UndoPlan) {
        var output = Output()
        for change in plan.changes {
            let decoded = DecodedRecord(change, plan.catalog)
            output.line(json.json ? Self.json(decoded) : RecordText.change(decoded))
        }
        output.flush()
    }

    /// A record as `log` prints it, without its place in the log, which it does not have yet.
    private static func json(_ decoded: DecodedRecord) -> String {
        let places = ["sequence", "time", "commit"]
        return JSON.object(RecordText.fields(decoded).filter { !places.contains($0.0) }).text
    }

    private func tell(_ plan: UndoPlan) {
        let commit = Self.range(plan.first...plan.last)
        let time = Clock(isUTC: utc).full(plan.time)
        note(
            plan.changes.isEmpty
                ? "note: the commit of \(commit), \(time), changed nothing that is not so already"
                : "takes back the commit of \(commit), \(time), with "
                    + WriteBehindText.counted(plan.changes.count, "record"))
        guard let later = plan.later else { return }
        note(
            "note: #\(later.sequence) changed \(later.name) since, and later commits may have, too; their values "
                + "are overwritten where this sets the same columns")
    }
}
