import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// The output of `inspect` and `verify` about one file.
struct FileReport {
    private let file: StoredFile
    private let clock: Clock
    private let names: TableNames

    init(_ file: StoredFile, _ clock: Clock) throws {
        (self.file, self.clock) = (file, clock)
        names = file.findings.isEmpty ? TableNames() : try file.tableNames()
    }

    private var title: String {
        "\(file.kind.rawValue) of store \(file.uuid), \(WriteBehindText.bytes(file.byteCount))"
    }

    // MARK: inspect

    func lines(in range: ClosedRange<UInt64>) -> [String] {
        var table = TextTable([
            .init(title: "offset"), .init(title: "first"), .init(title: "last"),
            .init(title: "raw"), .init(title: "packed"), .init(title: "time", isNumber: false),
            .init(title: "holds", isNumber: false),
        ])
        for part in file.parts where isShown(part, range) { table.append(row(part)) }
        return [title.bold] + table.lines
    }

    /// Whether a part is shown. Damage is always shown.
    private func isShown(_ part: StoredFile.Part, _ range: ClosedRange<UInt64>) -> Bool {
        switch part.content {
        case .block(let block):
            block.firstSequence <= range.upperBound && block.nextSequence > range.lowerBound
        case .commit(let staged):
            staged.firstSequence <= range.upperBound
                && staged.commit.lastSequence >= range.lowerBound
        case .damage: true
        }
    }

    private func row(_ part: StoredFile.Part) -> [String] {
        switch part.content {
        case .block(let block):
            [
                "\(part.offset)", "\(block.firstSequence)", "\(block.nextSequence - 1)",
                "\(block.rawLength)", "\(block.packedLength)",
                String(clock.full(block.time / 1000).dropLast(4)), SegmentReport.holds(block),
            ]
        case .commit(let staged):
            [
                "\(part.offset)", "\(staged.firstSequence)", "\(staged.commit.lastSequence)",
                "\(staged.records.count)", "",
                String(clock.full(staged.time).dropLast(4)), "commit",
            ]
        case .damage(let finding):
            [
                "\(part.offset)", finding.lost.map { "\($0.lowerBound)" } ?? "",
                finding.lost.map { "\($0.upperBound)" } ?? "", "", "", "", finding.reason.red,
            ]
        }
    }

    func json(in range: ClosedRange<UInt64>) -> JSON {
        let parts = file.parts.filter { isShown($0, range) }.map(Self.json)
        return .object([
            ("v", .number(1)), ("file", description), ("parts", .array(parts)),
        ])
    }

    private var description: JSON {
        .object([
            ("kind", .string("\(file.kind)")), ("uuid", .string(file.uuid)),
            ("bytes", .number(file.byteCount)),
        ])
    }

    private static func json(_ part: StoredFile.Part) -> JSON {
        var (first, last, raw) = (UInt64?.none, UInt64?.none, Int?.none)
        var (time, fault) = (UInt64?.none, String?.none)
        switch part.content {
        case .block(let block):
            (first, last) = (block.firstSequence, block.nextSequence - 1)
            (raw, time) = (Int(block.rawLength), block.time / 1000)
        case .commit(let staged):
            (first, last) = (staged.firstSequence, staged.commit.lastSequence)
            (raw, time) = (staged.records.count, staged.time)
        case .damage(let finding):
            (first, last) = (finding.lost?.lowerBound, finding.lost?.upperBound)
            fault = finding.reason
        }
        return .object([
            ("offset", .number(part.offset)), ("first", .optional(first) { .number($0) }),
            ("last", .optional(last) { .number($0) }), ("raw", .optional(raw) { .number($0) }),
            ("time", .optional(time) { .time($0) }), ("fault", .optional(fault) { .string($0) }),
        ])
    }

    // MARK: verify

    func verification() -> [String] {
        let parts = file.parts.count - file.findings.count
        var lines = [
            title.bold,
            WriteBehindText.counted(Int(clamping: file.recordCount), "record") + " in "
                + WriteBehindText.counted(parts, file.kind == .staging ? "commit" : "block"),
        ]
        for finding in file.findings {
            lines.append(
                "\(finding.severity.rawValue.red.bold) \(VerifyReport.text(finding, names))")
        }
        let count = file.findings.count
        lines.append(count == 0 ? "OK".green.bold : WriteBehindText.counted(count, "finding").bold)
        return lines
    }

    var verificationJSON: JSON {
        .object([
            ("v", .number(1)), ("file", description), ("records", .number(file.recordCount)),
            ("findings", .array(file.findings.map { VerifyReport.json($0, names) })),
            (
                "verdict",
                .string(status == .done ? "good" : status == .warnings ? "warning" : "corrupt")
            ),
        ])
    }

    /// One file alone does not show whether its damaged part had been durable.
    var status: ExitStatus {
        switch file.findings.map(\.severity).max() {
        case nil: .done
        case .warning: .warnings
        case .torn, .corrupt: .corrupt
        }
    }
}
