import ArgumentParser
import EventLog
import Foundation
import WriteBehind
import WriteBehindCore
import WriteBehindInspection

/// `writebehind import`: CSV or NDJSON into a table, through the log.
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the rows of a CSV or NDJSON file into a table, through the log.",
        usage: "writebehind import [<options>] <store> <table> <file>",
        discussion: """
            Opens the store for writing, so no other process may have it open. Columns
            are found by name: in the first line of a CSV file, or by the keys of each
            JSON object. The file is read twice: if a row is not valid, nothing is
            written. An empty CSV field is null if the column is nullable. A blob is
            00ff or x'00ff' in CSV, and {"blob":"00ff"} in JSON.

            A table that does not exist yet is made from --schema: name type, then key,
            null or expires. A store that does not exist yet is made with --create.

            Ends with 3 if the database refused rows: they are in the log and in
            quarantine.

            Examples:
              writebehind import airport flight flights.csv
              writebehind import airport airline a.csv \\
                --schema 'code text key, name text null'
              writebehind import airport flight day.ndjson --dry-run
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case csv, ndjson }

    @OptionGroup var store: StoreArgument
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The file.", completion: .file())
    var file: String
    @Option(help: "csv or ndjson; else by the file's name (.csv, .ndjson, .jsonl, .json).")
    var format: Format?
    @Option(
        help: ArgumentHelp(
            "The columns of a new table, as in 'id integer key, name text, note text null'.",
            valueName: "columns"))
    var schema: String?
    @Flag(help: "Make the store if there is none.")
    var create = false
    @Flag(help: "Check the file, write nothing.")
    var dryRun = false
    @Option(
        help: ArgumentHelp(
            "The address of the store's database, if that is a PostgreSQL server's.",
            valueName: "url"))
    var postgresql: String?
    @OptionGroup var json: JSONOption
    @OptionGroup var progress: ProgressOption

    func validate() throws {
        if postgresql != nil { try PostgreSQLTool.check() }
    }

    func run() async throws {
        let isThere = FileManager.default.fileExists(atPath: store.store + "/store.json")
        guard isThere || create else {
            throw ValidationError(
                "There is no store \(WriteBehindText.quoted(store.store)); --create makes one.")
        }
        let format = try format ?? formatByName()
        let known = isThere ? try store.inspect().fullCatalog()[table]?.schema : nil
        let schema = try known ?? wantedSchema()
        if known != nil, self.schema != nil, try !SchemaText.agree(wantedSchema(), schema) {
            throw ValidationError(
                "There is a table \(WriteBehindText.quoted(table)) with other columns; "
                    + "leave --schema out to use these.")
        }
        let source = try RowFile(file, format: format, schema: schema)
        let checking = progress.bar("checking", total: source.byteCount, unit: .bytes)
        let count = try source.read { values, offset in
            _ = try RowCodec.encode(values, schema)
            checking.advance(to: offset)
        }
        checking.finish()
        guard !dryRun else { return try tell(count, schema, report: nil) }
        try tell(count, schema, report: try await write(source, schema))
    }

    private func write(
        _ source: RowFile, _ schema: TableSchema
    ) async throws -> RowImporter.Report {
        let importer = try RowImporter(store: store.store, schema: schema, try opener())
        let bar = progress.bar("writing", total: source.byteCount, unit: .bytes)
        do {
            try await source.write { values, offset in
                try await importer.put(values)
                bar.advance(to: offset)
            }
        } catch {
            note(
                "note: \(WriteBehindText.counted(importer.rowCount, "row")) of the file reached "
                    + "the log before it failed")
            _ = try? await importer.close()
            throw error
        }
        let report = try await importer.close()
        bar.finish()
        return report
    }

    private func opener() throws -> (any SinkOpener)? {
        guard let postgresql else { return nil }
        let identity = try? store.inspect().identity.storeID
        return try PostgreSQLTool.opener(postgresql, schema: nil, for: identity)
    }

    /// The format by the file's name. If the name does not show it, the file could be read in the wrong format.
    private func formatByName() throws -> Format {
        switch URL(fileURLWithPath: file).pathExtension.lowercased() {
        case "csv": return .csv
        case "ndjson", "jsonl", "json": return .ndjson
        default:
            throw ValidationError(
                "Give --format csv or ndjson: the name of \(WriteBehindText.quoted(file)) does not "
                    + "say which it is.")
        }
    }

    private func wantedSchema() throws -> TableSchema {
        guard let schema else {
            throw ValidationError(
                "There is no table \(WriteBehindText.quoted(table)); "
                    + "give its columns with --schema."
            )
        }
        return try SchemaText.parse(table, schema)
    }

    private func tell(_ count: Int, _ schema: TableSchema, report: RowImporter.Report?) throws {
        var output = Output()
        if json.json {
            output.line(
                JSON.object([
                    ("v", .number(1)), ("table", .string(schema.name)),
                    ("rows", .number(report?.rows ?? count)),
                    ("quarantined", .optional(report?.quarantined) { .number($0) }),
                    ("durable", .optional(report?.close.durable) { .number($0) }),
                    ("pending", .optional(report?.close.pending) { .number($0) }),
                ]).text)
        } else if let report {
            for line in lines(report, schema) { output.line(line) }
        } else {
            output.line("\(WriteBehindText.counted(count, "row")) good, nothing written")
        }
        output.flush()
        if let report, report.quarantined > 0 { throw ExitStatus.warnings }
    }

    private func lines(_ report: RowImporter.Report, _ schema: TableSchema) -> [String] {
        var lines = [
            "\(WriteBehindText.counted(report.rows, "row")) written to the log for "
                + plain(schema.name)
        ]
        if report.quarantined > 0 {
            lines.append(
                "\(WriteBehindText.count(report.quarantined)) of them in quarantine, since the "
                    + "database refused them: `writebehind quarantine list` says why")
        }
        if report.close.pending > 0 {
            lines.append(
                "\(WriteBehindText.counted(Int(report.close.pending), "record")) not in the "
                    + "database yet; the next open goes on")
        }
        return lines
    }
}

/// A table's columns as a user types them.
enum SchemaText {
    /// Whether two schemas have the same columns, as far as they can be typed.
    static func agree(_ one: TableSchema, _ other: TableSchema) -> Bool {
        let (left, right) = (one.columns, other.columns.filter { !$0.isDropped })
        return left.count == right.count
            && zip(left, right).allSatisfy {
                isSameName($0.name, $1.name) && $0.type == $1.type && $0.isKey == $1.isKey
                    && $0.isNullable == $1.isNullable
            }
    }

    static func parse(_ name: String, _ text: String) throws -> TableSchema {
        var expiry: String?
        let columns = try text.split(separator: ",").map { part -> ColumnSchema in
            let words = part.split(separator: " ").map(String.init)
            guard words.count >= 2, let (type, logical) = type(named: words[1].lowercased()) else {
                throw ValidationError(
                    "--schema: \(WriteBehindText.quoted(String(part))) is not: name, then integer, "
                        + "real, text, blob, boolean, timestamp, uuid, json or decimal.")
            }
            let options = words.dropFirst(2).map { $0.lowercased() }
            guard options.allSatisfy(["key", "null", "expires"].contains) else {
                throw ValidationError("--schema: after the type come key, null or expires.")
            }
            if options.contains("expires") { expiry = words[0] }
            return options.contains("key")
                ? .key(words[0], type, as: logical)
                : .column(words[0], type, as: logical, nullable: options.contains("null"))
        }
        let schema = TableSchema(name, columns, expiry: expiry)
        try schema.validate()
        return schema
    }

    /// The types in which a property of a `@Table` struct would be stored.
    private static func type(named name: String) -> (ColumnType, LogicalType?)? {
        if let type = ColumnType(rawValue: name) { return (type, nil) }
        let logical = LogicalType(rawValue: name)
        switch logical {
        case .boolean: return (.integer, logical)
        case .uuid: return (.blob, logical)
        case .timestamp, .json, .decimal: return (.text, logical)
        default: return nil
        }
    }
}
