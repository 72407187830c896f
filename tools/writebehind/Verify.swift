import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

/// `writebehind verify`: checks that everything is as it was written.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Check the log and the snapshots; with --database, prove that it agrees with them.",
        usage: "writebehind verify [<options>] <store or file>",
        discussion: """
            Reads every byte of the log and the snapshots: checksums, the chain that
            runs through all records, sequences without a gap, footers; that records fit
            their tables, and that the rows follow from them. With --database,
            snapshot and log are folded up to the database's watermark and every row is
            compared; rows in quarantine are left out. One file is checked by itself.

            --postgresql does so with a database on a server, in one transaction that
            only reads. JSON and decimals are compared as values, because the server
            spells them in its own way; everything else must be equal.

            Ends with 0 if everything is good, 3 with warnings, 4 if the log's end is
            torn, 5 if something is damaged or a row differs, 1 if a file cannot be read,
            8 if a newer version wrote it.

            Examples:
              writebehind verify airport
              writebehind verify airport --database --jobs 4
              writebehind verify airport --postgresql postgresql://db.example/airport
              writebehind verify airport --database --json | jq '.differences[]'
            """)

    @OptionGroup var store: StoreOrFileArgument
    @Flag(help: "Compare every table with the database at its watermark.")
    var database = false
    @OptionGroup var postgresql: PostgreSQLOption
    @Option(
        help: ArgumentHelp("How many segments or snapshots to read at once.", valueName: "count"))
    var jobs = ProcessInfo.processInfo.activeProcessorCount
    @Option(help: ArgumentHelp("Name at most this many rows that differ.", valueName: "count"))
    var limit = 100
    @OptionGroup var json: JSONOption
    @OptionGroup var progress: ProgressOption

    func validate() throws {
        guard jobs > 0 else { throw ValidationError("--jobs must be at least 1.") }
        guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
    }

    func run() throws {
        if let file = try store.file() { return try verify(file) }
        let inspection = try inspect()
        var report = VerifyReport(isJSON: json.json, limit: limit)
        do {
            try check(inspection, &report)
        } catch {
            report.finish(isComplete: false)
            throw error
        }
        report.finish()
        try report.status.check()
    }

    private var comparesRows: Bool { database || postgresql.postgresql != nil }

    /// The store with the database that is compared.
    private func inspect() throws -> StoreInspection {
        let inspection = try postgresql.inspect(store.store)
        guard database, case .elsewhere(let place) = inspection.database.state else {
            return inspection
        }
        // The one in the directory may be a secondary one, or one of earlier.
        let file = InspectedSQLite(inspection.layout.database, isLive: inspection.isLive)
        guard case .readable = file.state(of: inspection.identity.storeID) else {
            return inspection
        }
        note(
            "note: this compares database.sqlite; the store's own database is \(place), which "
                + "--postgresql compares")
        return try StoreInspection(path: store.store, database: file)
    }

    private func verify(_ file: StoredFile) throws {
        if comparesRows {
            throw ValidationError("--database goes with a store, not with one file.")
        }
        let report = try FileReport(file, Clock(isUTC: true))
        var output = Output()
        if json.json {
            output.line(report.verificationJSON.text)
        } else {
            for line in report.verification() { output.line(line) }
        }
        output.flush()
        try report.status.check()
    }

    private func check(_ inspection: StoreInspection, _ report: inout VerifyReport) throws {
        let bytes = try StoreSummary(inspection).segments.bytes
        let bar = progress.bar("log", total: bytes, unit: .bytes)
        defer { bar.finish() }
        let log = try LogVerification(inspection, jobs: jobs) { bar.advance(by: $0) }
        bar.finish()
        let names = log.findings.isEmpty ? TableNames() : try TableNames(inspection)
        report.tell(log, inspection, names)
        let snapshots = try SnapshotVerification(inspection.environment, jobs: jobs)
        report.tell(snapshots, log)
        if log.worst != .corrupt, let obstacle = snapshots.obstacle { throw obstacle }
        if log.worst != .corrupt, let fault = try faultOfRows(inspection, snapshots.good, log) {
            report.tell(fault, names)
        }
        if comparesRows { try compare(inspection, snapshots.good, &report) }
    }

    private func faultOfRows(
        _ inspection: StoreInspection, _ verified: Set<UInt64>, _ log: LogVerification
    ) throws -> Finding? {
        let bar = progress.bar("rows", total: Int(clamping: log.recordCount), unit: .records)
        defer { bar.finish() }
        return try inspection.faultOfRows(verified: verified) {
            bar.advance(to: Int(clamping: $0))
        }
    }

    private func compare(
        _ inspection: StoreInspection, _ verified: Set<UInt64>, _ report: inout VerifyReport
    ) throws {
        let bar = progress.bar("database", total: 0, unit: .rows)
        defer { bar.finish() }
        let judgement = try DatabaseJudgement(inspection, verified: verified) {
            bar.advance(to: Int($0))
        } report: {
            report.tell($0, $1)
        }
        bar.finish()
        report.tell(judgement, end: inspection.end)
    }
}
