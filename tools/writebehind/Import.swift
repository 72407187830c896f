import ArgumentParser
import EventLog
import Foundation
import WriteBehind

/// `writebehind import`: CSV or NDJSON into a table, through the log.
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the rows of a CSV or NDJSON file into a table, through the log.",
        usage: "writebehind import [<options>] <store> <table> <file>",
        discussion: """
            Opens the store for writing, so nobody else may. Columns are found by name:
            the first line of a CSV file, the keys of each JSON object. The file is read
            twice: nothing is written when a row is no good. An empty CSV field is null
            where the column admits that.

            A table that is not there yet is made from --schema: name type, then key,
            null or expires.

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
    @Option(help: "csv or ndjson; else by the file's name.")
    var format: Format?
    @Option(
        help: ArgumentHelp(
            "The columns of a new table, as in 'id integer key, name text, note text null'.",
            valueName: "columns"))
    var schema: String?
    @Flag(help: "Check the file, write nothing.")
    var dryRun = false
    @OptionGroup var json: JSONOption
    @OptionGroup var progress: ProgressOption

    func run() async throws {
        let isThere = FileManager.default.fileExists(atPath: store.store + "/store.json")
        let known = isThere ? try store.inspect().fullCatalog()[table]?.schema : nil
        let schema = try known ?? wantedSchema()
        if known != nil, self.schema != nil, try !SchemaText.agree(wantedSchema(), schema) {
            throw ValidationError(
                "There is a table \(WriteBehindText.quoted(table)) with other columns; "
                    + "leave --schema out to use these.")
        }
        let source = try RowFile(
            file, format: format ?? (file.hasSuffix(".csv") ? .csv : .ndjson), schema: schema)
        let checking = progress.bar("checking", total: source.byteCount, unit: .bytes)
        let count = try source.read { values, offset in
            _ = try RowCodec.encode(values, schema)
            checking.advance(to: offset)
        }
        checking.finish()
        guard !dryRun else { return tell(count, schema, report: nil) }
        let importer = try RowImporter(store: store.store, schema: schema)
        let bar = progress.bar("writing", total: source.byteCount, unit: .bytes)
        do {
            try await source.write { values, offset in
                try await importer.put(values)
                bar.advance(to: offset)
            }
        } catch {
            _ = try? await importer.close()
            throw error
        }
        let report = try await importer.close()
        bar.finish()
        tell(count, schema, report: report)
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

    private func tell(_ count: Int, _ schema: TableSchema, report: CloseReport?) {
        var output = Output()
        if json.json {
            output.line(
                JSON.object([
                    ("v", .number(1)), ("table", .string(schema.name)), ("rows", .number(count)),
                    ("durable", .optional(report?.durable) { .number($0) }),
                    ("pending", .optional(report?.pending) { .number($0) }),
                ]).text)
        } else {
            let what = report == nil ? "good, nothing written" : "written to \(plain(schema.name))"
            output.line("\(WriteBehindText.counted(count, "row")) \(what)")
        }
        output.flush()
    }
}

/// A table's columns as they are typed.
enum SchemaText {
    /// Whether two schemas have the same columns, as far as they can be typed.
    static func agree(_ one: TableSchema, _ other: TableSchema) -> Bool {
        one.columns.count == other.columns.count
            && zip(one.columns, other.columns).allSatisfy {
                isSameName($0.name, $1.name) && $0.type == $1.type && $0.isKey == $1.isKey
                    && $0.isNullable == $1.isNullable
            }
    }

    static func parse(_ name: String, _ text: String) throws -> TableSchema {
        var expiry: String?
        let columns = try text.split(separator: ",").map { part -> WriteBehind.Column in
            let words = part.split(separator: " ").map(String.init)
            guard words.count >= 2, let type = ColumnType(rawValue: words[1].lowercased()) else {
                throw ValidationError(
                    "--schema: \(WriteBehindText.quoted(String(part))) is not: name, then integer, "
                        + "real, text or blob.")
            }
            let options = words.dropFirst(2).map { $0.lowercased() }
            guard options.allSatisfy(["key", "null", "expires"].contains) else {
                throw ValidationError("--schema: after the type come key, null or expires.")
            }
            if options.contains("expires") { expiry = words[0] }
            return options.contains("key")
                ? .key(words[0], type)
                : .column(words[0], type, nullable: options.contains("null"))
        }
        let schema = TableSchema(name, columns, expiry: expiry)
        try schema.validate()
        return schema
    }
}
