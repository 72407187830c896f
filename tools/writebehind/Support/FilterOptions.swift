import ArgumentParser
import EventLog
import WriteBehind
import WriteBehindInspection

/// A part of the log.
struct RangeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The first sequence number.", valueName: "sequence"))
    var from: UInt64?
    @Option(help: ArgumentHelp("The last sequence number.", valueName: "sequence"))
    var to: UInt64?
    @Option(
        help: ArgumentHelp(
            "Not before: 2013-01-01T10:15, 10:15 (today), or 90s, 5m, 2h, 1d (ago).",
            valueName: "time"))
    var since: String?
    @Option(help: ArgumentHelp("Not after; as --since.", valueName: "time"))
    var until: String?

    func validate() throws {
        if let from, let to, from > to { throw ValidationError("--from is greater than --to.") }
    }

    func moments(_ clock: Clock) throws -> (since: UInt64?, until: UInt64?) {
        (try moment(since, "--since", clock), try moment(until, "--until", clock))
    }

    private func moment(_ text: String?, _ option: String, _ clock: Clock) throws -> UInt64? {
        guard let text else { return nil }
        guard let moment = clock.parse(text) else {
            throw ValidationError(
                "\(option): \(WriteBehindText.quoted(text)) is no time; \(Clock.forms).")
        }
        return moment
    }
}

/// Conditions for records.
struct FilterOptions: ParsableArguments {
    @Option(help: "Only this table; may be given several times.")
    var table: [String] = []
    @Option(
        help: """
            Only this row: its key, several key columns as a,b,c or as a JSON array; or the \
            first of them, for all rows whose key begins with them.
            """)
    var key: String?
    @Option(
        help: """
            put, patch, add, delete, clear, define, mark or settle; may be given several times.
            """)
    var operation: [String] = []
    @OptionGroup var conditions: ConditionOptions

    func filter() throws -> RecordFilter {
        var filter = try conditions.filter()
        filter.tables = table
        filter.key = try key.map(KeyText.components)
        for word in operation {
            guard let found = EventLog.Operation.allCases.first(where: { $0.word == word }) else {
                let words = EventLog.Operation.allCases.map(\.word).joined(separator: ", ")
                throw ValidationError(
                    "--operation: \(WriteBehindText.quoted(word)) is none of \(words).")
            }
            filter.operations.insert(found.rawValue)
        }
        return filter
    }
}

/// The conditions on columns.
struct ConditionOptions: ParsableArguments {
    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            """
            Only records that meet this: a column, then = != < <= > or >=, then a value; null only \
            with = and !=; a text may be quoted. If given several times, all must be met.
            """,
            valueName: "condition"))
    var conditions: [String] = []
    @Option(
        help: ArgumentHelp(
            "Only records that change this column; shows its old value, too.", valueName: "column"))
    var changed: String?

    func filter() throws -> RecordFilter {
        var filter = RecordFilter()
        filter.conditions = try conditions.map(Self.condition)
        filter.changed = changed
        return filter
    }

    /// `delay>=60`; a name with one of these signs in it is quoted: `"a=b">=60`.
    private static func condition(_ text: String) throws -> RecordFilter.Condition {
        var name = text.prefix { !"=!<>".contains($0) }
        var column = String(name)
        if text.hasPrefix("\""), let end = text.dropFirst().firstIndex(of: "\"") {
            name = text[...end]
            column = String(name.dropFirst().dropLast())
        }
        let rest = text[name.endIndex...]
        // Longer signs first, because `<=` begins with `<`.
        let signs = Comparison.allCases.sorted { $0.rawValue.count > $1.rawValue.count }
        guard !column.isEmpty, let sign = signs.first(where: { rest.hasPrefix($0.rawValue) }) else {
            throw ValidationError(
                "--where: \(WriteBehindText.quoted(text)) is not: a column, then one of = != < <= > "
                    + ">=, then a value.")
        }
        return RecordFilter.Condition(
            column: column, sign, text: String(rest.dropFirst(sign.rawValue.count)))
    }
}

extension RecordFilter {
    /// Refuses names and values that no table of the store can have.
    func check(_ store: StoreInspection) throws {
        if let problem = problem(try store.fullCatalog()) { throw ValidationError(problem) }
    }
}
