import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind history`: every version of one row.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show every version of one row, and what changed each time.",
        usage: "writebehind history [<options>] <store> <table> <key>",
        discussion: """
            It goes back as far as log and snapshots reach.

            Examples:
              writebehind history airport flight 123
              writebehind history airport flight 2013-01-01,UA,1545,EWR
              writebehind history airport flight 123 --changed dep_time
              writebehind history airport flight 123 --json | jq .row
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The row's key; several key columns as a,b,c or as a JSON array.")
    var key: String
    @OptionGroup var conditions: ConditionOptions
    @OptionGroup var json: JSONOption
    @Flag(help: "Times in UTC, each with its date.")
    var utc = false

    func validate() throws { _ = try conditions.filter() }

    func run() throws {
        let inspection = try store.inspect()
        let definition = try inspection.definition(named: table)
        let key = try KeyText.encode(key, definition.schema)
        var filter = try conditions.filter()
        filter.tables = [table]
        try filter.check(inspection)
        var wanted = VersionFilter(
            RecordMatcher(filter, try inspection.fullCatalog()), definition, key)
        let versions = try inspection.history().history(of: key, in: definition)
        var output = Output()
        var report = HistoryReport(definition.schema, clock: Clock(isUTC: utc))
        var count = 0
        for version in versions {
            let line = json.json ? try report.json(version).text : try report.line(version)
            guard wanted.admits(version) else { continue }
            output.line(line)
            count += 1
        }
        output.flush()
        if count == 0, let first = versions.first, let last = versions.last {
            note(
                "note: 0 of \(WriteBehindText.counted(versions.count, "version")) match; they span "
                    + "#\(first.sequence) to #\(last.sequence)")
        }
        if versions.isEmpty {
            note("note: \(RowName.text(definition.schema, key)) was never written")
        }
        if inspection.end > inspection.readable {
            note(
                "note: commits after #\(inspection.readable) are in the write buffer only; "
                    + "see `log`"
            )
        }
        try ExitStatus(inspection).check()
    }
}

/// The versions of a row that are printed: those that meet the conditions.
private struct VersionFilter {
    private let matcher: RecordMatcher
    private let definition: TableDefinition
    private let key: [UInt8]
    private var before: ShownValue?

    init(_ matcher: RecordMatcher, _ definition: TableDefinition, _ key: [UInt8]) {
        (self.matcher, self.definition, self.key) = (matcher, definition, key)
    }

    mutating func admits(_ version: RowVersionBytes) -> Bool {
        if let name = matcher.filter.changed, let index = definition.schema.valueIndex(of: name) {
            let after = version.row.flatMap {
                try? ShownValue.value(at: index, in: $0, definition.schema)
            }
            defer { before = after }
            if after == before { return false }
        }
        guard !matcher.filter.conditions.isEmpty else { return true }
        return version.row.map { matcher.admits(table: definition.id, key: key, row: $0) } ?? false
    }
}

/// Versions as lines: what changed, and what it was before.
struct HistoryReport {
    private let schema: TableSchema
    private let clock: Clock
    private var before: [ShownValue]?

    init(_ schema: TableSchema, clock: Clock) {
        self.schema = schema
        self.clock = clock
    }

    mutating func line(_ version: RowVersionBytes) throws -> String {
        let after = try version.row.map { try ShownValue.row($0, schema) }
        defer { before = after }
        let head =
            "#\(version.sequence)".lightBlack + " " + clock.full(version.time) + " "
            + version.operation.word
        if version.operation == .patch, !version.isComplete {
            let changes = try RowCodec.decodePatch(version.change.span, schema).compactMap {
                change -> String? in
                let column = schema.valueColumns[change.column]
                if column.isDropped { return nil }
                return "\(plain(column.name))=\(change.value.text(in: column))"
            }
            return ([head] + changes).joined(separator: " ") + " (the row before is gone)".yellow
        }
        if version.operation == .add, after == nil {
            let why = version.isComplete ? " (there is no row)" : " (the row before is gone)"
            return ([head] + (try amounts(version)).map(RecordText.amount)).joined(separator: " ")
                + why.yellow
        }
        guard let after else { return head }
        let changes = schema.valueColumns.indices.compactMap { index -> String? in
            let column = schema.valueColumns[index]
            if column.isDropped { return nil }
            let now = "\(plain(column.name))=\(after[index].text(as: column.logicalType))"
            guard let before else { return now }
            guard before[index] != after[index] else { return nil }
            return now + " (was \(before[index].text(as: column.logicalType)))".lightBlack
        }
        let origin = version.isFromSnapshot ? " (from a snapshot)".yellow : ""
        let text = changes.isEmpty ? "(nothing changed)" : changes.joined(separator: " ")
        return head + " " + text + origin
    }

    /// What an add adds.
    private func amounts(_ version: RowVersionBytes) throws -> [DecodedRecord.Field] {
        try RowCodec.decodeAdd(version.change.span, schema).amounts.compactMap {
            let column = schema.valueColumns[$0.column]
            return column.isDropped ? nil : DecodedRecord.Field(column, .integer($0.amount))
        }
    }

    mutating func json(_ version: RowVersionBytes) throws -> JSON {
        let after = try version.row.map { try ShownValue.row($0, schema) }
        defer { before = after }
        let columns = schema.valueColumns
        func object(_ values: [ShownValue]) -> JSON {
            .object(
                zip(columns, values).filter { !$0.0.isDropped }
                    .map { ($0.name, .value($1, $0.logicalType)) })
        }
        var changed: [(String, JSON)] = []
        var old: [(String, JSON)] = []
        if let after {
            for (index, column) in columns.enumerated()
            where before?[index] != after[index] && !column.isDropped {
                changed.append((column.name, .value(after[index], column.logicalType)))
                if let before {
                    old.append((column.name, .value(before[index], column.logicalType)))
                }
            }
        }
        var fields: [(String, JSON)] = [
            ("v", .number(1)), ("sequence", .number(version.sequence)),
            ("time", .time(version.time)), ("operation", .string(version.operation.word)),
        ]
        if version.operation == .add {
            let amounts = try amounts(version)
            fields.append(
                ("amounts", .object(amounts.map { ($0.name, .value($0.value, $0.logicalType)) })))
        }
        return .object(
            fields + [
                ("changed", .object(changed)), ("before", .object(old)),
                ("row", .optional(after, object)),
                ("complete", .bool(version.isComplete)),
                ("fromSnapshot", .bool(version.isFromSnapshot)),
            ])
    }
}
