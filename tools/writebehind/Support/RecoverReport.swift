import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// The output of `recover`: its findings, the losses, its plan, and what it has done.
struct RecoverReport {
    private let isJSON: Bool
    private var output = Output()
    var fields: [(String, JSON)] = [("v", .number(1))]
    private var differing: [String] = []
    private var isFinished = false

    init(isJSON: Bool) {
        self.isJSON = isJSON
    }

    mutating func note(differing row: String) {
        if differing.count < 10 { differing.append(row) }
    }

    func planStatus(_ plan: RecoveryPlan) -> ExitStatus {
        if !plan.isRepairable || !plan.snapshots.damaged.isEmpty { return .corrupt }
        if plan.database.severity == .corrupt { return .corrupt }
        if case .elsewhere = plan.database, plan.log.worst != .torn { return .warnings }
        if plan.log.worst == .torn { return .torn }
        return plan.database.severity == nil && plan.log.worst == nil ? .done : .warnings
    }

    // MARK: the plan

    mutating func tell(_ plan: RecoveryPlan) throws {
        let names = plan.log.findings.isEmpty ? TableNames() : try TableNames(plan.store)
        head("found")
        for finding in plan.log.findings { item(VerifyReport.text(finding, names)) }
        if plan.log.findings.isEmpty { item("the log is good: \(Self.size(plan.log))") }
        for snapshot in plan.snapshots.snapshots {
            if let fault = snapshot.fault { item(fault) }
        }
        item(database(plan))
        for row in differing { item("  \(row)") }
        head("lost")
        if plan.lost.isEmpty { item("nothing that had been durable") }
        for loss in plan.lost { item(LossText.item(loss, names).red) }
        if let all = LossText.sum(plan.lost, names) { item(all.red) }
        head(plan.isNeeded ? "to do" : "nothing to do")
        if plan.isRepairable {
            for step in plan.steps { item(text(step)) }
            if !plan.isForTool {
                item("--apply cannot do that; the next opening fills the empty database")
            } else if !plan.steps.isEmpty {
                item("verify all of it")
                item("takes about \(WriteBehindText.duration(seconds: plan.seconds + 1))")
            }
        } else {
            if let obstacle = plan.obstacle {
                item("no database can be built: \(WriteBehindText.message(obstacle))")
            }
            for path in damagedSegments(plan) {
                item("if a backup has \(RowName.path(path)) undamaged, put it in its place")
            }
            item("--salvage DIRECTORY writes what can be read into a new store")
        }
        fields += [
            ("verdict", .string(plan.log.worst?.rawValue ?? "good")),
            ("database", .string(database(plan))), ("repairable", .bool(plan.isRepairable)),
            ("findings", .array(plan.log.findings.map { VerifyReport.json($0, names) })),
        ]
        fields += LossText.fields(plan.lost, names)
        fields += [
            ("steps", .array(plan.steps.map { .string(text($0)) })),
            ("seconds", .number(plan.seconds)),
        ]
    }

    /// A segment that is complete does not change any more, so a copy of it may be good.
    private func damagedSegments(_ plan: RecoveryPlan) -> [String] {
        let damaged = Set(plan.log.findings.filter { $0.severity == .corrupt }.map(\.path))
        return plan.log.segments.filter { $0.isSealed && damaged.contains($0.path) }.map(\.path)
    }

    private static func size(_ log: LogVerification) -> String {
        "\(WriteBehindText.count(log.recordCount)) records, \(WriteBehindText.bytes(log.byteCount))"
    }

    private func database(_ plan: RecoveryPlan) -> String {
        if let fault = plan.database.fault {
            return plan.database.reasonToReplace == nil || !plan.isRepairable
                ? "the database: \(WriteBehindText.message(fault))"
                : "the database cannot serve: \(WriteBehindText.message(fault))"
        }
        if case .elsewhere(let place) = plan.database {
            return
                "the database, \(escapingControls(place)), was not looked at; give its address with "
                + "--postgresql"
        }
        guard case .compared(let result) = plan.database else { return "there is no database" }
        guard result.differenceCount == 0 else {
            return "\(WriteBehindText.count(result.differenceCount)) rows of the database differ "
                + "from the log"
        }
        let behind = plan.store.end - min(plan.store.end, result.watermark)
        return "the database agrees with the log"
            + (behind > 0
                ? " and is " + WriteBehindText.counted(Int(behind), "record") + " behind" : "")
    }

    private func text(_ step: RecoveryPlan.Step) -> String {
        switch step {
        case .log(let step): text(step)
        case .setDatabaseAside(let reason):
            "keep the database under another name (\(WriteBehindText.message(reason)))"
        case .rebuildDatabase(let snapshot, let records):
            "rebuild the database from "
                + (snapshot == 0 ? "the log" : "snapshot #\(snapshot) and the log")
                + ": " + WriteBehindText.counted(Int(records), "record")
        case .giveEmptyDatabase(let reason):
            "give the store an empty database (\(WriteBehindText.message(reason)))"
        case .rollForward(let records):
            "bring the database up to date: " + WriteBehindText.counted(Int(records), "record")
        case .setSnapshotsAside(let ahead):
            "keep \(WriteBehindText.counted(ahead.count, "snapshot")) that the log does not reach in "
                + "aside/"
        case .remakeSnapshots(let damaged):
            "keep \(WriteBehindText.counted(damaged.count, "damaged snapshot")) in aside/ and "
                + "make a new one"
        }
    }

    private func text(_ step: Judgement.Step) -> String {
        switch step {
        case .removeTemporary(let path): "remove \(RowName.path(path)), which was not finished"
        case .removeMerged(let path):
            "remove \(RowName.path(path)), because the segment before it holds its records"
        case .removeUnmade(let path, let bytes):
            "keep \(RowName.path(path)), \(WriteBehindText.bytes(bytes)) without a whole header, in "
                + "aside/"
        case .cutTail(let path, let offset, let bytes):
            "cut \(WriteBehindText.bytes(bytes)) off \(RowName.path(path)) at offset \(offset) "
                + "and keep them in aside/"
        case .cutStaged(let commits, let sequences):
            "keep \(WriteBehindText.counted(commits, "commit")) of the write buffer, "
                + "#\(sequences.lowerBound) to #\(sequences.upperBound), which follow a gap, in "
                + "aside/"
        case .keepStaging(let path): "keep \(RowName.path(path)), which is unusable, in aside/"
        case .takeStaged(let commits, let through):
            "take \(WriteBehindText.counted(commits, "commit")), through #\(through), "
                + "from the write buffer"
        case .rewrite(let path): "write \(RowName.path(path)) again, and end it with a footer"
        }
    }

    // MARK: what was done

    mutating func tellDone(
        _ store: StoreInspection, aside: String?, isGood: Bool, _ database: DatabaseJudgement
    ) {
        head("done")
        if let aside { item("the old database is \(RowName.path(aside))") }
        item("the log ends at #\(store.end)")
        if !isGood {
            item("verification failed; see `writebehind verify --database`".red)
        } else if case .compared(let result) = database {
            let rows = WriteBehindText.count(result.rowCount)
            item("verified: the log is good and all \(rows) rows agree".green)
        } else {
            item("verified: the log is good".green)
            if let fault = database.fault {
                item("the database: \(WriteBehindText.message(fault))")
            }
        }
        fields += [
            ("end", .number(store.end)), ("aside", .optional(aside) { .string($0) }),
            ("good", .bool(isGood)),
        ]
    }

    mutating func tell(_ result: Salvage.Result, _ path: String) {
        head("salvaged into \(RowName.path(path))")
        if result.snapshot > 0 {
            item("\(WriteBehindText.count(result.rows)) rows of snapshot #\(result.snapshot)")
        }
        item("\(WriteBehindText.count(result.records)) records of the log")
        if let text = Self.text(result.database) { item(text) }
        let leftOut = result.leftOut.map {
            "table \(plain($0.table)): \(WriteBehindText.message($0.reason))"
        }
        for text in leftOut { item("not the database's rows of \(text)".yellow) }
        head("lost")
        for line in Self.losses(result) { item(line.red) }
        if !result.losesAnything { item("nothing") }
        fields += [
            ("into", .string(path)), ("snapshot", .number(result.snapshot)),
            ("rows", .number(result.rows)), ("records", .number(result.records)),
            ("database", .optional(Self.text(result.database)) { .string($0) }),
            ("leftOut", .array(leftOut.map { .string($0) })),
        ]
        fields += LossText.fields(result.lost, result.tableNames)
        fields += [
            ("orphans", .array(result.orphans.map(Self.json))),
            ("unreadable", .array(result.unreadable.map { .string($0) })),
            ("badSnapshots", .array(result.badSnapshots.map { .string($0) })),
        ]
    }

    private static func losses(_ result: Salvage.Result) -> [String] {
        var lines = result.lost.map { loss in
            LossText.item(loss, result.tableNames)
                + (result.knowsRows(of: loss.sequences)
                    ? "; the rows are right, by the database" : "")
        }
        if let all = LossText.sum(result.lost, result.tableNames) { lines.append(all) }
        lines += result.unreadable.map { "all of \(RowName.path($0)), whose header is damaged" }
        lines += result.badSnapshots.map { "a snapshot, of which the log was read: \($0)" }
        return lines
            + result.orphans.map {
                "\(WriteBehindText.counted(Int($0.changes), "change")) of "
                    + "\(WriteBehindText.counted(Int($0.rows), "row")) of \(plain($0.table)), "
                    + "whose earlier versions are lost"
                    + ($0.rowsAreKnown ? "; the rows are right, by the database" : "")
            }
    }

    private static func text(_ database: Salvage.DatabaseUse) -> String? {
        switch database {
        case .none: nil
        case .unusable(let reason):
            "the database is of no help: \(WriteBehindText.message(reason))"
        case .older(let watermark): "the database, at #\(watermark), has nothing newer"
        case .used(let watermark, let restored, let removed):
            "the database's rows at #\(watermark): \(WriteBehindText.count(restored)) put right, "
                + "\(WriteBehindText.count(removed)) removed"
        }
    }

    private static func json(_ orphans: Salvage.Orphans) -> JSON {
        .object([
            ("table", .string(orphans.table)), ("changes", .number(orphans.changes)),
            ("rows", .number(orphans.rows)), ("rowsAreKnown", .bool(orphans.rowsAreKnown)),
        ])
    }

    // MARK: output

    mutating func head(_ text: String) {
        if !isJSON { output.line(text.bold) }
    }

    mutating func item(_ text: String) {
        guard !isJSON else { return }
        let lines = output.isTerminal ? StatusReport.broken(text, room: output.width - 4) : [text]
        output.line("  " + lines.joined(separator: "\n    "))
    }

    mutating func finish() {
        guard !isFinished else { return }
        isFinished = true
        if isJSON { output.line(JSON.object(fields).text) }
        output.flush()
    }
}
