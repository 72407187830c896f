import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind diff`: the rows that differ between two moments of the store.
struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the rows that differ between two sequences, times or marks.",
        usage: "writebehind diff [<options>] <store> <before> <after>",
        discussion: """
            A point is a sequence (1042), a time (10:15, 2013-01-01T10:15, or 5m for
            5 minutes ago), the name of a mark (before-deploy, or mark:NAME if the name
            looks like something else), or end. --where selects rows that meet the
            condition before or after.

            Examples:
              writebehind diff airport before-deploy end
              writebehind diff airport 48000 49000 --table flight --key 2013-01-01,UA
              writebehind diff airport 48000 49000 --changed dep_time
              writebehind diff airport 48000 49000 --where 'dep_delay>60'
              writebehind diff airport 1h end --json | jq -r .row
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "The earlier point.")
    var before: String
    @Argument(help: "The later point.")
    var after: String
    @Option(help: "Only this table; may be given several times.")
    var table: [String] = []
    @Option(help: "Only the row with this key, or all rows whose key begins with it: a,b,c.")
    var key: String?
    @OptionGroup var conditions: ConditionOptions
    @OptionGroup var json: JSONOption
    @Flag(help: "Read times as UTC.")
    var utc = false

    func validate() throws { _ = try conditions.filter() }

    func run() throws {
        let inspection = try store.inspect()
        var filter = try conditions.filter()
        filter.tables = table
        filter.key = try key.map(KeyText.components)
        try filter.check(inspection)
        let clock = Clock(isUTC: utc)
        let tables =
            table.isEmpty ? nil : Set(try table.map { try inspection.definition(named: $0).id })
        let difference = try StateDifference(
            inspection.history(), from: PointText.parse(before, clock),
            to: PointText.parse(after, clock), tables: tables, filter)
        var output = Output()
        var counts = (added: 0, removed: 0, changed: 0)
        try difference.read { schema, key, change in
            switch change {
            case .added: counts.added += 1
            case .removed: counts.removed += 1
            case .changed: counts.changed += 1
            }
            let row = RowName.text(schema, key)
            output.line(json.json ? Self.json(row, change).text : Self.line(row, change))
        }
        output.flush()
        if !json.json {
            note(
                "#\(difference.before.sequence) to #\(difference.after.sequence): "
                    + "\(counts.added) added, "
                    + "\(counts.removed) removed, \(counts.changed) changed")
        }
        try ExitStatus(inspection).check()
    }

    private static func line(_ row: String, _ change: StateDifference.Change) -> String {
        switch change {
        case .added(let fields):
            "+ ".green + row.bold + fields.map { " \(plain($0.name))=\($0.text)" }.joined()
        case .removed(let fields):
            "- ".red + row.bold + fields.map { " \(plain($0.name))=\($0.text)" }.joined()
        case .changed(let columns):
            "~ ".yellow + row.bold
                + columns.map { column in
                    let before = column.before.text(as: column.logicalType)
                    let after = column.after.text(as: column.logicalType)
                    return " \(plain(column.name))=\(before)→\(after)"
                }.joined()
        }
    }

    private static func json(_ row: String, _ change: StateDifference.Change) -> JSON {
        func object(_ fields: [DecodedRecord.Field]) -> JSON {
            .object(fields.map { ($0.name, .value($0.value, $0.logicalType)) })
        }
        var fields: [(String, JSON)] = [("v", .number(1)), ("row", .string(row))]
        switch change {
        case .added(let values):
            fields += [("change", .string("added")), ("after", object(values))]
        case .removed(let values):
            fields += [("change", .string("removed")), ("before", object(values))]
        case .changed(let columns):
            fields += [
                ("change", .string("changed")),
                ("before", .object(columns.map { ($0.name, .value($0.before, $0.logicalType)) })),
                ("after", .object(columns.map { ($0.name, .value($0.after, $0.logicalType)) })),
            ]
        }
        return .object(fields)
    }
}
