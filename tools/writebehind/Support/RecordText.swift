import EventLog
import Rainbow
import WriteBehind
import WriteBehindInspection

/// Records as lines: for people, as NDJSON, as CSV.
struct RecordText {
    enum Form { case text, json, csv }

    let form: Form
    let clock: Clock
    private var lastDate = ""
    private var sequenceWidth: Int

    /// - Parameter last: the last sequence that is expected. Lines are aligned by its width.
    init(_ form: Form, clock: Clock, last: UInt64) {
        self.form = form
        self.clock = clock
        sequenceWidth = "#\(last)".count
    }

    static func csvHeader(_ filter: RecordFilter) -> String {
        "sequence,time,commit,operation,table,key,values,durable"
            + (filter.changed == nil ? "" : ",before")
    }

    /// - Parameter change: the change of the column of --changed.
    mutating func line(
        _ record: DecodedRecord, isDurable: Bool, _ change: ColumnFollower.Change? = nil
    ) -> String {
        switch form {
        case .text: text(record, isDurable: isDurable, change)
        case .json: Self.json(record, isDurable: isDurable, change)
        case .csv: Self.csv(record, isDurable: isDurable, change)
        }
    }

    /// A line about missing records; nil if the form has no place for it.
    func line(_ finding: Finding, _ names: TableNames) -> String? {
        switch form {
        case .text: ("-- " + VerifyReport.text(finding, names)).red
        case .json:
            JSON.object([
                ("v", .number(1)), ("damage", VerifyReport.json(finding, names)),
            ]).text
        case .csv: nil
        }
    }

    // MARK: for people

    /// `#1042 12:01:05.123 flight[123] patch departure="10:15"`
    private mutating func text(
        _ decoded: DecodedRecord, isDurable: Bool, _ change: ColumnFollower.Change?
    ) -> String {
        let record = decoded.record
        let sequence = "#\(record.sequence)"
        sequenceWidth = max(sequenceWidth, sequence.count)
        var parts = [padded(sequence, sequenceWidth).lightBlack, time(record.time)]
        if let subject = Self.subject(decoded) { parts.append(subject) }
        parts.append(Self.coloured(decoded))
        parts.append(contentsOf: Self.details(decoded, change))
        if !isDurable { parts.append("(not yet durable)".yellow) }
        return parts.joined(separator: " ")
    }

    /// The time, with the date if that has changed since the line before.
    private mutating func time(_ milliseconds: UInt64) -> String {
        let full = clock.full(milliseconds)
        if clock.isUTC { return full }
        let date = String(full.prefix(10))
        guard date == lastDate else {
            lastDate = date
            return full
        }
        return String(full.dropFirst(11))
    }

    static func subject(_ decoded: DecodedRecord) -> String? {
        let record = decoded.record
        guard decoded.table != nil || record.table != 0 else { return nil }
        let name = plain(decoded.table ?? "table \(record.table)").bold
        if record.operation == .clear || record.operation == .define { return name }
        guard decoded.problem == nil else { return name }
        return name + "[" + decoded.key.map(\.text).joined(separator: ", ") + "]"
    }

    private static func coloured(_ decoded: DecodedRecord) -> String {
        switch decoded.record.operation {
        case .put: decoded.word.green
        case .patch, .add: decoded.word.cyan
        case .delete, .clear: decoded.word.red
        case .define, .mark, .settle, .preamble: decoded.word.magenta
        }
    }

    /// A record without its place in the log: the row and the change.
    static func change(_ decoded: DecodedRecord) -> String {
        ([subject(decoded), coloured(decoded)].compactMap(\.self)
            + details(decoded, nil)).joined(separator: " ")
    }

    private static func details(
        _ decoded: DecodedRecord, _ change: ColumnFollower.Change?
    ) -> [String] {
        if let problem = decoded.problem { return ["(cannot be decoded: \(problem))".red] }
        var parts = decoded.values.map { field in
            let now = "\(plain(field.name))=\(field.text)"
            guard let change, change.column == field.name, let was = was(change) else { return now }
            return now + was.lightBlack
        }
        parts += decoded.amounts.map { field in
            let now = amount(field)
            guard let change, change.column == field.name, let was = was(change) else { return now }
            return now + was.lightBlack
        }
        if let change, decoded.values.isEmpty, decoded.amounts.isEmpty, let was = was(change) {
            parts.append(plain(change.column) + was.lightBlack)
        }
        if let settles = decoded.settles { parts.append("#\(settles)") }
        if let last = decoded.settlesThrough, last != decoded.settles {
            parts.append("through #\(last)")
        }
        if let text = decoded.text { parts.append(WriteBehindText.quoted(text)) }
        if let definition = decoded.definition { parts.append(Self.columns(definition.schema)) }
        return parts
    }

    /// `likes+=1`
    static func amount(_ field: DecodedRecord.Field) -> String {
        plain(field.name)
            + (field.text.hasPrefix("-") ? "-=\(field.text.dropFirst())" : "+=\(field.text)")
    }

    private static func was(_ change: ColumnFollower.Change) -> String? {
        switch change.before {
        case .unknown:
            change.after == nil && change.amount == nil ? nil : " (the value before is gone)"
        case .noRow: " (new)"
        case .value(let value): " (was \(value.text(as: change.logicalType)))"
        }
    }

    /// `(day text key, delay integer null)`
    static func columns(_ schema: TableSchema) -> String {
        let columns = schema.columns.filter { !$0.isDropped }.map { column in
            var words = [plain(column.name), column.type.rawValue]
            if let logical = column.logicalType { words.append("as \(plain(logical.rawValue))") }
            if column.isKey { words.append("key") }
            if column.isNullable { words.append("null") }
            if let value = column.defaultValue {
                words.append("default \(value.text(in: column))")
            }
            return words.joined(separator: " ")
        }
        let expiry = schema.expiry.map { " expires by \(plain($0))" } ?? ""
        let indices = schema.sqlIndices.map { index in
            let columns = index.columns.map { plain($0) }.joined(separator: ", ")
            return (index.isUnique ? " unique" : " index") + " (\(columns))"
        }
        let changes = schema.changes == .wholeRows ? " logged as whole rows" : ""
        return "(" + columns.joined(separator: ", ") + ")" + expiry + indices.joined() + changes
    }

    // MARK: for programs

    /// One object a line. `v` changes when a field changes its meaning; new fields may come at any
    /// time.
    private static func json(
        _ decoded: DecodedRecord, isDurable: Bool, _ change: ColumnFollower.Change?
    ) -> String {
        var fields = fields(decoded)
        if let before = before(change) { fields.append(("before", before)) }
        fields.append(("durable", .bool(isDurable)))
        return JSON.object(fields).text
    }

    /// The value before; null if there was no row. Left out if it is not known.
    private static func before(_ change: ColumnFollower.Change?) -> JSON? {
        switch change?.before {
        case .value(let value):
            .object([(change?.column ?? "", .value(value, change?.logicalType))])
        case .noRow: .null
        case .unknown, nil: nil
        }
    }

    static func fields(_ decoded: DecodedRecord) -> [(String, JSON)] {
        let record = decoded.record
        var fields: [(String, JSON)] = [
            ("v", .number(1)), ("sequence", .number(record.sequence)),
            ("time", .time(record.time)), ("commit", .number(record.commit)),
            ("operation", .string(record.operation.word)),
        ]
        if let table = decoded.table { fields.append(("table", .string(table))) }
        if !decoded.key.isEmpty { fields.append(("key", object(decoded.key))) }
        if !decoded.values.isEmpty { fields.append(("values", object(decoded.values))) }
        if decoded.isIfAbsent { fields.append(("ifAbsent", .bool(true))) }
        if !decoded.amounts.isEmpty { fields.append(("amounts", object(decoded.amounts))) }
        if let settles = decoded.settles { fields.append(("settles", .number(settles))) }
        if let last = decoded.settlesThrough { fields.append(("through", .number(last))) }
        if let text = decoded.text { fields.append(("text", .string(text))) }
        if let definition = decoded.definition {
            fields.append(
                (
                    "schema",
                    .raw(escapingControls(json: String(decoding: definition.json(), as: UTF8.self)))
                ))
        }
        if let problem = decoded.problem { fields.append(("problem", .string(problem))) }
        return fields
    }

    private static func object(_ fields: [DecodedRecord.Field]) -> JSON {
        .object(fields.map { ($0.name, .value($0.value, $0.logicalType)) })
    }

    private static func csv(
        _ decoded: DecodedRecord, isDurable: Bool, _ change: ColumnFollower.Change?
    ) -> String {
        let record = decoded.record
        let key = decoded.key.isEmpty ? "" : object(decoded.key).text
        var values = decoded.values.isEmpty ? "" : object(decoded.values).text
        if !decoded.amounts.isEmpty { values = object(decoded.amounts).text }
        if let text = decoded.text { values = JSON.string(text).text }
        if let definition = decoded.definition {
            values = String(decoding: definition.json(), as: UTF8.self)
        }
        return [
            "\(record.sequence)", MomentText.iso(milliseconds: record.time), "\(record.commit)",
            decoded.word, field(decoded.table ?? ""), field(key), field(values),
            isDurable ? "true" : "false",
        ].joined(separator: ",") + (change == nil ? "" : "," + field(before(change)?.text ?? ""))
    }

    /// A field by RFC 4180.
    private static func field(_ text: String) -> String {
        guard text.utf8.contains(where: { [0x22, 0x2C, 0x0A, 0x0D].contains($0) }) else {
            return text
        }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
