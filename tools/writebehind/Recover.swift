import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind recover`: the command to run after a disaster.
struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what is damaged and what would make it good; with --apply, do it.",
        usage: "writebehind recover [<options>] <store>",
        discussion: """
            Without --apply nothing is changed. --apply cuts off a torn end (and keeps
            it in aside/), takes the commits in the write buffer, puts an unusable
            database aside, rebuilds it from snapshot and log, makes a damaged snapshot
            again, and verifies everything. No bytes are ever deleted.

            If store.json is lost or damaged, it is written again, because the log's
            files hold the store's UUID.

            A log that is damaged where it had been durable cannot be repaired.
            --salvage writes everything that can be read into a new store, and lists what
            is lost.

            A database on a server is compared if --postgresql gives its address, and
            with --apply brought up to date. It is never put aside: if it cannot stay,
            the plan says so, and you give the store an empty one. Without its address
            such a store cannot be opened, so --apply is refused if something is to do.
            --salvage uses its rows in the same way as those of a file, in one
            transaction that only reads, and makes a new store with a file. If the server
            does not answer, nothing is salvaged; leave --postgresql out to do without it.

            Ends with 0 if everything is good, or a database is only missing or behind,
            which the next open corrects; 3 if something was lost or cut off, or the
            database cannot be compared or is outdated; 4 if the plan must cut off a torn
            end; 5 if log or snapshots are damaged, or rows of the database differ, or it
            is unusable; 7 if a process has the store open.

            Examples:
              writebehind recover airport
              writebehind recover airport --apply
              writebehind recover airport --salvage airport-2
              writebehind recover airport --postgresql postgresql://db.example/airport
              writebehind recover airport --salvage airport-2 \\
                --postgresql postgresql://db.example/airport
            """)

    @OptionGroup var store: StoreArgument
    @Flag(help: "Carry the plan out.")
    var apply = false
    @Option(
        help: ArgumentHelp(
            "Write everything that can be read into a new store, in a directory that does not exist yet.",
            valueName: "directory"))
    var salvage: String?
    @Flag(help: "Put a database or snapshots aside that are ahead of the log; believe the log.")
    var detach = false
    @OptionGroup var postgresql: PostgreSQLOption
    @Option(help: ArgumentHelp("How many segments to read at once.", valueName: "count"))
    var jobs = ProcessInfo.processInfo.activeProcessorCount
    @OptionGroup var json: JSONOption
    @OptionGroup var progress: ProgressOption

    func validate() throws {
        guard jobs > 0 else { throw ValidationError("--jobs must be at least 1.") }
        if apply, salvage != nil {
            throw ValidationError("--apply repairs in place, --salvage writes elsewhere: choose.")
        }
    }

    func run() async throws {
        var report = RecoverReport(isJSON: json.json)
        defer { report.finish() }
        if let lost = try LostIdentity(path: store.store) {
            report.tell(lost)
            // Everything else needs the store's identity.
            guard apply else { throw ExitStatus.corrupt }
            report.tellRestored(lost, kept: try lost.restore())
        }
        let inspection = try postgresql.inspect(store.store, trustsWitnesses: !detach)
        if case .live(let process) = inspection.state {
            let who = process.map { " (process \($0))" } ?? ""
            note("error: the store is open for writing\(who); nothing needs to be recovered")
            throw ExitStatus.locked
        }
        if let salvage { return try await save(inspection, into: salvage, &report) }
        let plan = try makePlan(inspection, &report)
        try report.tell(plan)
        guard apply, plan.isNeeded else {
            try report.planStatus(plan).check()
            return
        }
        guard plan.isRepairable, plan.isForTool else { throw ExitStatus.corrupt }
        let opener = try postgresql.opener(for: inspection.identity.storeID)
        let bar = progress.bar("database", total: Int(inspection.end), unit: .records)
        let aside = try await plan.apply(opener: opener) { bar.advance(to: Int($0)) }
        bar.finish()
        try verify(&report, plan, aside)
    }

    private func makePlan(
        _ inspection: StoreInspection, _ report: inout RecoverReport
    ) throws -> RecoveryPlan {
        let bytes = try StoreSummary(inspection).segments.bytes
        let bar = progress.bar("log", total: bytes, unit: .bytes)
        defer { bar.finish() }
        return try RecoveryPlan(inspection, jobs: jobs) {
            bar.advance(by: $0)
        } differs: { row, _ in
            report.note(differing: row)
        }
    }

    /// The result counts as good only after everything was read back.
    private func verify(
        _ report: inout RecoverReport, _ plan: RecoveryPlan, _ aside: String?
    ) throws {
        let after = try postgresql.inspect(store.store)
        let log = try LogVerification(after, jobs: jobs)
        let snapshots = try SnapshotVerification(after.environment, jobs: jobs)
        let database = try DatabaseJudgement(
            after, verified: snapshots.good, report: { _, _ in })
        let isGood =
            log.worst ?? .warning == .warning && snapshots.damaged.isEmpty
            && database.severity ?? .warning == .warning
        report.tellDone(after, aside: aside, isGood: isGood, database)
        report.finish()
        guard isGood else { throw ExitStatus.corrupt }
        if plan.cutsOff || database.severity != nil || log.worst != nil {
            throw ExitStatus.warnings
        }
    }

    private func save(
        _ inspection: StoreInspection, into path: String, _ report: inout RecoverReport
    ) async throws {
        // A file that cannot be read is left out. A server was named because its rows are wanted.
        if case .unreadable(let error) = inspection.database.state,
            !inspection.database.isFile, error.kind != .corrupt
        {
            throw error
        }
        // The store has another name until it is complete, so that after an interrupt a part is not taken for the whole.
        let partial = path + ".partial"
        for name in [path, partial] { try NewFile.refuseExisting(name) }
        let bytes = try StoreSummary(inspection).segments.bytes
        let bar = progress.bar("salvage", total: bytes, unit: .bytes)
        let target = try NewStore(at: partial)
        let result = try Salvage.run(inspection, into: target) { bar.advance(by: $0) }
        try await target.close()
        try FileManager.default.moveItem(atPath: partial, toPath: path)
        bar.finish()
        report.tell(result, path)
        report.finish()
        if result.losesAnything { throw ExitStatus.warnings }
    }
}

extension RecoveryPlan {
    /// Whether a step cuts something off the log.
    var cutsOff: Bool {
        steps.contains {
            switch $0 {
            case .log(.cutTail), .log(.cutStaged), .log(.removeUnmade), .log(.keepStaging): true
            default: false
            }
        }
    }
}
