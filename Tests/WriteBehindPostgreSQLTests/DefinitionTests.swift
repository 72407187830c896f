import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    @Suite struct DefinitionTests {
        private func define(
            _ sink: any Sink, _ columns: [ColumnSchema], revision: UInt32, sequence: UInt64,
            expiry: String? = nil, indices: [SQLIndexDefinition] = []
        ) throws -> QuarantineIndex.Changes {
            let schema = TableSchema("thing", columns, expiry: expiry, sqlIndices: indices)
            return try sink.define(
                TableDefinition(id: 1, schema: schema, revision: revision),
                through: Watermark(sequence: sequence, chain: sequence))
        }

        private func open(_ test: TestStore) throws -> any Sink {
            var options = PostgreSQLOptions(test.database.url) { 0 }
            options.lockLimit = 400
            let owner = SinkOwner(
                StoreLayout(root: test.path), StoreID(low: 7, high: 7),
                disk: PosixDisk())
            let sink = try PostgreSQLOpener(options).open(for: owner)
            return sink
        }

        private func put(
            _ sink: any Sink, _ values: [StoredValue], _ schema: TableSchema, _ sequence: UInt64
        ) throws {
            let (key, row) = try RowCodec.encode(values, schema)
            try sink.apply(
                OneRow(
                    through: Watermark(sequence: sequence, chain: sequence), key: key, row: row))
        }

        @Test func columnsAreAddedRenamedDroppedAndWidened() async throws {
            let test = try TestStore()
            let sink = try open(test)
            let first: [ColumnSchema] = [
                .key("id", .integer), .column("a", .text), .column("b", .text),
                .column("n", .integer), .column("gone", .text, nullable: true),
            ]
            _ = try define(sink, first, revision: 1, sequence: 1)
            try put(
                sink, [.integer(1), .text("A"), .text("B"), .integer(5), .text("x")],
                TableSchema("thing", first), 2)
            // The two names are exchanged, a number becomes a real one, a column goes, and three come.
            let json = """
                {"columns":[{"key":true,"name":"id","type":"integer"},{"name":"b","type":"text","formerly":["a"]},
                {"name":"a","type":"text","formerly":["b"],"nullable":true},{"name":"n","type":"real","wasInteger":true},
                {"dropped":true,"name":"","nullable":true,"type":"text"},
                {"default":{"integer":1},"logical":"boolean","name":"flag","type":"integer"},
                {"default":{"text":"2026-01-02 03:04:05.006"},"logical":"timestamp","name":"at","type":"text"},
                {"default":{"text":"it's"},"name":"word","type":"text"}],
                "expiry":null,"id":1,"name":"thing","revision":2,"sqlIndices":[{"columns":["word","n"]}]}
                """
            let second = try TableDefinition(json: Array(json.utf8).span)
            let refused = try sink.define(second, through: Watermark(sequence: 3, chain: 3))
            #expect(refused.added.isEmpty, "\(refused)")
            #expect(
                try test.database.run("SELECT id, b, a, n, flag, at, word FROM thing") == [
                    ["1", "A", "B", "5", "t", "2026-01-02 03:04:05.006+00", "it's"]
                ])
            let row = try await sink.read(1, keys: [KeyCodec.encode([.integer(1)], second.schema)])[
                0]
            #expect(row.watermark == 3)
            let body = try #require(row.body)
            #expect(
                try RowCodec.decodeRow(body.span, second.schema) == [
                    .text("A"), .text("B"), .real(5), .null, .integer(1),
                    .text("2026-01-02 03:04:05.006"), .text("it's"),
                ])
            #expect(
                try test.database.value(
                    "SELECT count(*) FROM pg_indexes WHERE tablename = 'thing' AND indexdef LIKE '%word%'"
                )
                    == "1")
            try sink.close()
            let again = try open(test)
            #expect(again.tables == [second])
            try again.close()
        }

        @Test func aReadUnderwayWhileColumnsExchangeTheirNames() async throws {
            let test = try TestStore()
            let sink = try open(test)
            let schema = TableSchema(
                "thing", [.key("id", .integer), .column("a", .text), .column("b", .text)])
            _ = try define(sink, schema.columns, revision: 1, sequence: 1)
            try put(sink, [.integer(1), .text("A"), .text("B")], schema, 2)
            let key = try KeyCodec.encode([.integer(1)], schema)
            let before = try await sink.read(1, keys: [key])[0].body
            for revision in UInt32(2)..<12 {
                let names = revision % 2 == 0 ? ["b", "a"] : ["a", "b"]
                let columns: [ColumnSchema] = [
                    .key("id", .integer), .column(names[0], .text, formerly: names[1]),
                    .column(names[1], .text, formerly: names[0]),
                ]
                async let reads = withThrowingTaskGroup(of: [UInt8]?.self) { group in
                    for _ in 0..<8 {
                        group.addTask { try await sink.read(1, keys: [key])[0].body }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                _ = try define(sink, columns, revision: revision, sequence: UInt64(revision) + 1)
                let bodies = try await reads
                #expect(bodies.allSatisfy { $0 == before })
            }
            try sink.close()
        }

        @Test func aUniqueConstraintThatRowsBreakIsLeftOutAndNamed() async throws {
            let test = try TestStore()
            var sink = try open(test)
            let schema = TableSchema("thing", [.key("id", .integer), .column("a", .text)])
            _ = try define(sink, schema.columns, revision: 1, sequence: 1)
            try put(sink, [.integer(1), .text("A")], schema, 2)
            try put(sink, [.integer(2), .text("A")], schema, 3)
            _ = try define(
                sink, schema.columns, revision: 2, sequence: 4,
                indices: [SQLIndexDefinition("a", unique: true)])
            #expect(sink.concern()?.contains("unique constraint") ?? false)
            try sink.close()
            sink = try open(test)
            #expect(sink.concern()?.contains("unique constraint") ?? false)
            try put(sink, [.integer(2), .text("B")], schema, 5)
            try sink.makeIndices()
            #expect(sink.concern() == nil)
            #expect(throws: SinkError.self) { try put(sink, [.integer(3), .text("B")], schema, 6) }
            #expect(try sink.watermark().sequence == 5)
            try sink.close()
        }

        /// An index cannot hold a value of more than a third of a page.
        @Test func anIndexThatCannotBeMadeIsNamedAndHoldsUpNothing() async throws {
            let test = try TestStore()
            var sink = try open(test)
            let schema = TableSchema("thing", [.key("id", .integer), .column("a", .text)])
            _ = try define(sink, schema.columns, revision: 1, sequence: 1)
            var random = SeededRandom(seed: 1)
            let long = (0..<4000).map { _ in String(random.next(), radix: 36) }.joined()
            try put(sink, [.integer(1), .text(long)], schema, 2)
            _ = try define(
                sink, schema.columns, revision: 2, sequence: 3,
                indices: [SQLIndexDefinition("a", unique: false)])
            #expect(sink.concern()?.contains("index on a of table thing") ?? false)
            try put(sink, [.integer(2), .text("B")], schema, 4)
            try sink.close()
            sink = try open(test)
            #expect(sink.concern()?.contains("index on a of table thing") ?? false)
            try put(sink, [.integer(1), .text("A")], schema, 5)
            try sink.makeIndices()
            #expect(sink.concern() == nil)
            try sink.close()
        }

        /// A snapshot may hold rows that were there before the constraint.
        @Test func aDatabaseIsFilledBeforeItsConstraintsAreMade() async throws {
            let test = try TestStore()
            let sink = try open(test)
            let schema = TableSchema("thing", [.key("id", .integer), .column("a", .text)])
            _ = try define(
                sink, schema.columns, revision: 1, sequence: 0,
                indices: [SQLIndexDefinition("a", unique: true)])
            try put(sink, [.integer(1), .text("A")], schema, 0)
            try put(sink, [.integer(2), .text("A")], schema, 5)
            try sink.makeIndices()
            #expect(sink.concern()?.contains("unique constraint") ?? false)
            try put(sink, [.integer(2), .text("B")], schema, 6)
            try sink.makeIndices()
            #expect(sink.concern() == nil)
            #expect(throws: SinkError.self) { try put(sink, [.integer(3), .text("B")], schema, 7) }
            try sink.close()
        }

        @Test func aValueThatIsNoneOfTheNewLogicalTypeKeepsTheColumnAsItIs() async throws {
            for (type, value, logical) in [
                (ColumnType.integer, StoredValue.integer(5), LogicalType.boolean),
                (.text, .text("2026-11-27"), .timestamp),
                (.text, .text("2026-11-27 01:02:03.123456"), .timestamp),
            ] {
                let test = try TestStore()
                let sink = try open(test)
                let schema = TableSchema("thing", [.key("id", .integer), .column("a", type)])
                _ = try define(sink, schema.columns, revision: 1, sequence: 1)
                try put(sink, [.integer(1), value], schema, 2)
                let changes = try define(
                    sink, [.key("id", .integer), .column("a", type, as: logical)], revision: 2,
                    sequence: 3)
                #expect(changes.added.count == 1, "\(logical) from \(value)")
                let stored = try test.database.value("SELECT a::text FROM thing")
                #expect(stored.map { "\(value)".contains($0) } ?? false, "\(stored as Any)")
                try sink.close()
            }
        }

        @Test func whatIsWrongWithAPartitionIsFound() async throws {
            let test = try TestStore()
            try test.database.run(
                """
                CREATE TABLE thing (id bigint PRIMARY KEY, a text NOT NULL) PARTITION BY HASH (id);
                CREATE TABLE thing_0 PARTITION OF thing FOR VALUES WITH (MODULUS 1, REMAINDER 0);
                CREATE TABLE parent (id bigint PRIMARY KEY);
                ALTER TABLE thing_0 ADD CONSTRAINT gone FOREIGN KEY (id) REFERENCES parent ON DELETE CASCADE;
                CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.a = ''other''; RETURN new; END';
                CREATE TRIGGER other BEFORE INSERT ON thing_0 FOR EACH ROW EXECUTE FUNCTION other()
                """)
            let sink = try open(test)
            let changes = try define(
                sink, [.key("id", .integer), .column("a", .text)], revision: 1, sequence: 1)
            let message = changes.added.first?.error.message ?? ""
            #expect(message.contains("BEFORE trigger"), "\(message)")
            #expect(message.contains("cascades"), "\(message)")
            try sink.close()
        }

        @Test func aTableThatFitsIsTakenOver() async throws {
            let test = try TestStore()
            try test.database.run(
                """
                CREATE TABLE thing (id bigint PRIMARY KEY, noted timestamptz NOT NULL DEFAULT now(),
                  a text, other int) PARTITION BY HASH (id);
                CREATE TABLE thing_0 PARTITION OF thing FOR VALUES WITH (MODULUS 2, REMAINDER 0);
                CREATE TABLE thing_1 PARTITION OF thing FOR VALUES WITH (MODULUS 2, REMAINDER 1)
                """)
            let sink = try open(test)
            let schema = TableSchema("thing", [.key("id", .integer), .column("a", .text)])
            #expect(try define(sink, schema.columns, revision: 1, sequence: 1).added.isEmpty)
            try put(sink, [.integer(1), .text("A")], schema, 2)
            try put(sink, [.integer(1), .text("B")], schema, 3)
            #expect(
                try test.database.run("SELECT id, a, noted IS NULL FROM thing") == [
                    ["1", "B", "f"]
                ])
            try sink.close()
        }

        @Test func aTableThatDoesNotFitIsRefusedWithEachDifference() async throws {
            let test = try TestStore()
            try test.database.run(
                """
                CREATE TABLE parent (id bigint PRIMARY KEY);
                CREATE UNLOGGED TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, a varchar(10) NOT NULL,
                  more int NOT NULL, p bigint REFERENCES parent ON DELETE CASCADE,
                  UNIQUE (id) DEFERRABLE);
                ALTER TABLE thing ENABLE ROW LEVEL SECURITY;
                CREATE TABLE heir () INHERITS (thing);
                """)
            try test.database.run(
                """
                CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
                CREATE TRIGGER early BEFORE UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION f()
                """)
            func reason() throws -> String {
                let sink = try open(test)
                defer { try? sink.close() }
                let next = try sink.watermark().sequence + 1
                let changes = try define(
                    sink,
                    [
                        .key("id", .integer), .column("a", .text, nullable: true),
                        .column("b", .blob, nullable: true),
                    ], revision: 1, sequence: next)
                return changes.added.first?.error.message ?? ""
            }
            let words = try reason()
            #expect(words.contains("is unlogged") && words.contains("has row security"))
            try test.database.run(
                "DROP TABLE heir; ALTER TABLE thing SET LOGGED; ALTER TABLE thing DISABLE ROW LEVEL SECURITY"
            )
            try test.database.run("CREATE TABLE heir () INHERITS (thing)")
            try test.database.run(
                "DELETE FROM writebehind.quarantine_key; DELETE FROM writebehind.quarantine")
            let rest = try reason()
            for part in [
                "\"id\" is GENERATED ALWAYS", "\"a\" is character varying(10) and should be text",
                "\"a\" is NOT NULL", "\"more\" is not the store's", "column \"b\" is missing",
                "no primary key or unique constraint on just (\"id\")", "heir inherits from it",
                "BEFORE trigger, \"early\"", "cascades",
            ] { #expect(rest.contains(part), "\(part) in \(rest)") }
        }

        @Test func aTableWithRowsIsNotTakenOver() async throws {
            let test = try TestStore()
            try test.database.run(
                "CREATE TABLE thing (id bigint PRIMARY KEY); INSERT INTO thing VALUES (1)")
            let sink = try open(test)
            let changes = try define(sink, [.key("id", .integer)], revision: 1, sequence: 1)
            #expect(changes.added.first?.error.message.contains("it has rows") ?? false)
            #expect(!sink.quarantine.isEmpty)
            try sink.close()
        }

        @Test func aNameThatTheServerWouldCutOffIsRefused() async throws {
            let test = try TestStore()
            let sink = try open(test)
            let long = String(repeating: "ä", count: 32)
            let changes = try define(
                sink, [.key("id", .integer), .column(long, .text)], revision: 1, sequence: 1)
            #expect(changes.added.first?.error.message.contains("63 bytes") ?? false)
            try sink.close()
        }

        /// All shapes of names that need quoting.
        @Test func anyNameWillDo() async throws {
            let test = try TestStore()
            let sink = try open(test)
            let schema = TableSchema(
                #"sel"ect é';--"#,
                [
                    .key("user", .text), .key("ORDER", .integer), .column("c0", .text),
                    .column(#"a"b"#, .integer, default: .integer(-1)), .column("excluded", .text),
                    .column("t", .text), .column("until", .integer, as: .timestamp, nullable: true),
                ], expiry: "until", sqlIndices: [SQLIndexDefinition("t", #"a"b"#, unique: true)])
            #expect(
                try sink.define(
                    TableDefinition(id: 1, schema: schema),
                    through: Watermark(sequence: 1, chain: 1)
                ).added.isEmpty)
            let values: [StoredValue] = [
                .text("k"), .integer(1), .text("x"), .integer(2), .text("y"), .text("z"),
                .integer(10),
            ]
            try put(sink, values, schema, 2)
            try put(sink, values, schema, 3)
            let due = try sink.dueRows(1, before: 11, limit: 5)
            #expect(due.keys.count == 1 && due.column == 4 && due.watermark == 3)
            let scanned = try sink.scan(1, columns: [1, 3], after: nil, limit: 5)
            #expect(scanned.rows.map(\.key) == due.keys)
            #expect(scanned.rows[0].columns == RowCodec.body([.integer(2), .text("z")]))
            try sink.close()
        }
    }
}

/// A batch of a put.
private struct OneRow: SortedChanges {
    var through: Watermark
    var key: [UInt8]
    var row: [UInt8]
    var cleared: [UInt32] { [] }

    func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError) {
        try body(1, .put, key.span, row.span)
    }
}
