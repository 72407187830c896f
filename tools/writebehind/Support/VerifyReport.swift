import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// The output of `verify`: a line for each part, the findings, and at the end one word.
struct VerifyReport {
    private let isJSON: Bool
    private let limit: Int
    private var output = Output()
    private var fields: [(String, JSON)] = [("v", .number(1))]
    private var differences: [JSON] = []
    private var findings: [JSON] = []
    private var worst = Finding.Severity?.none
    private var findingCount = 0
    private var isFinished = false

    init(isJSON: Bool, limit: Int) {
        self.isJSON = isJSON
        self.limit = limit
    }

    var status: ExitStatus {
        switch worst {
        case nil: .done
        case .warning: .warnings
        case .torn: .torn
        case .corrupt: .corrupt
        }
    }

    // MARK: the log

    mutating func tell(
        _ log: LogVerification, _ store: StoreInspection, _ names: TableNames
    ) {
        let count = log.segments.count
        line(
            "log",
            WriteBehindText.counted(count, "segment") + ", "
                + "\(WriteBehindText.count(log.recordCount)) records, "
                + WriteBehindText.bytes(log.byteCount))
        fields.append(("segments", .number(count)))
        fields.append(("records", .number(log.recordCount)))
        fields.append(("bytes", .number(log.byteCount)))
        if let staged = store.log?.staged, !staged.isEmpty {
            line(
                "",
                "and " + WriteBehindText.counted(staged.count, "commit")
                    + " in the write buffer (staging), which the next open takes"
            )
        }
        fields.append(("staged", .number(store.log?.staged.count ?? 0)))
        for finding in log.findings { tell(finding, names) }
        if let all = LossText.sum(log.findings.compactMap(\.loss), names) {
            line("lost", all.red)
        }
    }

    mutating func tell(_ finding: Finding, _ names: TableNames) {
        note(finding.severity)
        findings.append(Self.json(finding, names))
        let text = Self.text(finding, names)
        let word = finding.severity.rawValue
        line(finding.severity == .corrupt ? word.red.bold : word.yellow, text, width: word.count)
    }

    static func text(_ finding: Finding, _ names: TableNames) -> String {
        var text = "\(RowName.path(finding.path))"
        if let offset = finding.offset { text += " at offset \(offset)" }
        text += ": \(finding.reason)"
        if let loss = finding.loss { text += "; \(LossText.sentence(loss, names))" }
        if let evidence = finding.evidence { text += " (\(evidence))" }
        return text
    }

    static func json(_ finding: Finding, _ names: TableNames) -> JSON {
        .object([
            ("severity", .string(finding.severity.rawValue)), ("path", .string(finding.path)),
            ("offset", .optional(finding.offset) { .number($0) }),
            ("lost", .optional(finding.lost, LossText.json)),
            ("tables", .optional(finding.loss) { LossText.json($0.tables, names) }),
            ("reason", .string(finding.reason)),
            ("evidence", .optional(finding.evidence) { .string($0) }),
        ])
    }

    private mutating func note(_ severity: Finding.Severity) {
        findingCount += 1
        worst = worst.map { max($0, severity) } ?? severity
    }

    // MARK: snapshots

    mutating func tell(_ snapshots: SnapshotVerification, _ log: LogVerification) {
        let rows = snapshots.snapshots
        line("snapshots", rows.isEmpty ? "none" : "\(rows.count)")
        for snapshot in rows {
            guard snapshot.isDamaged, let fault = snapshot.fault else { continue }
            note(.corrupt)
            line("corrupt".red.bold, "snapshot #\(snapshot.sequence): \(fault)", width: 7)
        }
        fields.append(
            (
                "snapshots",
                .array(
                    rows.map {
                        .object([
                            ("sequence", .number($0.sequence)), ("rows", .number($0.rowCount)),
                            ("fault", .optional($0.fault) { .string($0) }),
                        ])
                    })
            ))
    }

    // MARK: the database

    /// - Parameter end: where the log ends; the database may be behind.
    mutating func tell(_ judgement: DatabaseJudgement, end: UInt64) {
        if let fault = judgement.fault, let severity = judgement.severity {
            note(severity)
            let text = WriteBehindText.message(fault)
            line("database", severity == .corrupt ? text.red : text.yellow)
            fields.append(("database", .object([("fault", .string(fault))])))
        } else if case .compared(let result) = judgement {
            tell(result, end: end)
        } else if case .elsewhere(let place) = judgement {
            note(.warning)
            let text = "it is \(place); give its address with --postgresql"
            line("database", WriteBehindText.message(text).yellow)
            fields.append(("database", .object([("fault", .string(text))])))
        } else {
            line("database", "there is none yet")
            fields.append(("database", .object([("fault", .null)])))
        }
    }

    /// A row that differs, as soon as it is found.
    mutating func tell(_ row: String, _ difference: DatabaseVerification.Difference) {
        note(.corrupt)
        guard differences.count < limit else { return }
        let text: String =
            switch difference {
            case .missing: "missing in the database"
            case .extra: "in the database, not in the log"
            case .malformed(let reason): reason
            case .added(let log, let database):
                "the store has added \(database) by what the database says, \(log) by the log"
            case .columns(let columns):
                columns.map {
                    "\(plain($0.name)) is \($0.database) in the database, \($0.log) in the log"
                }.joined(separator: "; ")
            }
        line("differs".red.bold, "\(row): \(text)", width: 7)
        differences.append(.object([("row", .string(row)), ("difference", .string(text))]))
    }

    private mutating func tell(_ result: DatabaseVerification, end: UInt64) {
        let more = Int(result.differenceCount) - differences.count
        if more > 0 { line("", "and \(WriteBehindText.count(more)) more rows") }
        var text =
            WriteBehindText.counted(Int(result.rowCount), "row") + " of "
            + WriteBehindText.counted(result.tableCount, "table")
            + " compared at #\(result.watermark): "
        text +=
            result.differenceCount == 0
            ? "all agree" : "\(WriteBehindText.count(result.differenceCount)) differ".red
        if result.skipped > 0 { text += "; \(result.skipped) in quarantine left out" }
        if result.sumCount > 0 {
            text +=
                "; " + WriteBehindText.counted(result.sumCount, "sum")
                + " of shared tables compared, and not their rows"
        }
        if let obstacle = result.sumObstacle {
            text += "; sums of shared tables not compared, because \(obstacle)"
        }
        let behind = end - min(end, result.watermark)
        if behind > 0 {
            text += "; " + WriteBehindText.counted(Int(behind), "record") + " not applied yet"
        }
        line("database", text)
        fields.append(
            (
                "database",
                .object([
                    ("watermark", .number(result.watermark)), ("behind", .number(behind)),
                    ("rows", .number(result.rowCount)),
                    ("tables", .number(result.tableCount)),
                    ("differing", .number(result.differenceCount)),
                    ("quarantined", .number(result.skipped)),
                    ("sums", .number(result.sumCount)),
                    ("sumsNotCompared", .optional(result.sumObstacle) { .string($0) }),
                    ("fault", .null),
                ])
            ))
    }

    // MARK: output

    private mutating func line(_ head: String, _ text: String, width: Int? = nil) {
        guard !isJSON else { return }
        let blanks = String(repeating: " ", count: max(1, 11 - (width ?? head.count)))
        let lines = output.isTerminal ? StatusReport.broken(text, room: output.width - 11) : [text]
        output.line(
            (width == nil ? head.lightBlack : head) + blanks
                + lines.joined(separator: "\n" + String(repeating: " ", count: 11)))
    }

    /// - Parameter isComplete: false if something could not be read, so that there is no verdict.
    mutating func finish(isComplete: Bool = true) {
        guard !isFinished else { return }
        isFinished = true
        if isJSON {
            fields.append(("findings", .array(findings)))
            fields.append(("differences", .array(differences)))
            fields.append(
                ("verdict", isComplete ? .string(worst?.rawValue ?? "good") : .null))
            output.line(JSON.object(fields).text)
        } else if !isComplete {
            output.line("not finished".bold)
        } else if findingCount == 0 {
            output.line("OK".green.bold)
        } else {
            output.line("\(findingCount) \(findingCount == 1 ? "finding" : "findings")".bold)
        }
        output.flush()
    }
}
