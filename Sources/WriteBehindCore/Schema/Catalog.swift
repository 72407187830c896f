import EventLog

// The tables of a log at some sequence number.
//
// A define record adds the next table or extends one:
//
//   u8(5) varint(table) varint(0) varint(length) JSON of the definition
//
// A preamble holds the last define record of each table, so that a segment or snapshot can be read alone.

/// The tables by number and by name, as defined by the records up to some sequence number.
package struct Catalog: Sendable, Equatable {
    /// In order of their numbers, which count from 1 without a gap.
    package private(set) var tables: [TableDefinition] = []
    private var numbers: [[UInt8]: UInt32] = [:]
    /// The length of each table's define record. The preamble of a segment or snapshot holds all of them.
    private var byteCounts: [Int] = []
    private var byteCount = 0

    /// The most tables that a store may have. The cache view keeps their numbers in 16 bits.
    package static let tableLimit = Int(UInt16.max)

    package init() {}

    package subscript(id: UInt32) -> TableDefinition? {
        id > 0 && id <= tables.count ? tables[Int(id) - 1] : nil
    }

    /// Names compare as in SQLite, without the case of ASCII letters.
    package subscript(name: String) -> TableDefinition? {
        numbers[foldedName(name)].flatMap { self[$0] }
    }

    /// The number that the next table will have.
    package var nextID: UInt32 { UInt32(tables.count) + 1 }

    /// The definition to log so that a table gets this schema; nil if the table already has it.
    /// - Throws: why the schema is invalid, is not a possible change of the table's, or is too long.
    package func definition(
        for schema: TableSchema, byName: Bool = false, limit: Int = Preamble.byteLimit
    ) throws(SchemaError) -> TableDefinition? {
        guard let definition = try change(to: schema, byName: byName) else { return nil }
        try checkRoom(for: definition, limit)
        return definition
    }

    /// The definition to log before ids through `assigned` are given to rows of a table.
    /// - Throws: if it has no room.
    package func definition(
        of known: TableDefinition, assigned: Int64, limit: Int = Preamble.byteLimit
    ) throws(SchemaError) -> TableDefinition {
        let definition = TableDefinition(
            id: known.id, schema: known.schema, revision: known.revision &+ 1, assigned: assigned)
        try checkRoom(for: definition, limit)
        return definition
    }

    /// Throws if the definitions of all tables would not fit into a preamble.
    private func checkRoom(
        for definition: TableDefinition, _ limit: Int
    ) throws(SchemaError) {
        let bytes = byteCount(with: Self.defineRecord(definition).count, for: definition.id)
        guard bytes <= limit else {
            throw SchemaError(
                table: definition.schema.name, .definitionsTooLong(bytes: bytes, limit: limit))
        }
    }

    /// The length of all define records once this table has one of this length.
    private func byteCount(with record: Int, for id: UInt32) -> Int {
        byteCount + record - (id < nextID ? byteCounts[Int(id) - 1] : 0)
    }

    private func change(
        to declared: TableSchema, byName: Bool
    ) throws(SchemaError) -> TableDefinition? {
        try declared.validate()
        guard let known = self[declared.name] else {
            guard tables.count < Self.tableLimit else {
                throw SchemaError(table: declared.name, .tooManyTables)
            }
            let schema = TableSchema(
                declared.name, declared.columns, expiry: declared.expiry,
                sqlIndices: declared.sqlIndices, changes: declared.changes,
                isShared: declared.isShared)
            return TableDefinition(id: nextID, schema: schema)
        }
        let schema = try declared.following(known.schema, byName: byName)
        try schema.validate()
        guard try schema.change(from: known.schema) != .equal else { return nil }
        return TableDefinition(
            id: known.id, schema: schema, revision: known.revision &+ 1, assigned: known.assigned)
    }

    /// Applies a definition from the log: of the next table, or of a known table that has changed.
    package mutating func define(_ definition: TableDefinition) throws(SchemaError) {
        try define(definition, Self.defineRecord(definition).count)
    }

    private mutating func define(
        _ definition: TableDefinition, _ record: Int
    ) throws(SchemaError) {
        let name = definition.schema.name
        if let known = self[definition.id] {
            guard foldedName(known.schema.name) == foldedName(name) else {
                throw SchemaError(table: name, .unreadable("its number is another table's"))
            }
            _ = try definition.schema.change(from: known.schema)
            byteCount = byteCount(with: record, for: definition.id)
            byteCounts[Int(definition.id) - 1] = record
            tables[Int(definition.id) - 1] = definition
            return
        }
        guard definition.id == nextID, tables.count < Self.tableLimit else {
            throw SchemaError(table: name, .unreadable("its number is out of order"))
        }
        guard self[name] == nil else { throw SchemaError(table: name, .duplicateName) }
        byteCount += record
        byteCounts.append(record)
        numbers[foldedName(name)] = definition.id
        tables.append(definition)
    }
}

extension Catalog {
    /// Applies a define record, given as its table number and body.
    package mutating func apply(define table: UInt32, body: Span<UInt8>) throws(SchemaError) {
        let json = try Self.prefixed(body)
        let definition = try TableDefinition(json: body.extracting(json))
        guard definition.id == table else {
            throw SchemaError(
                table: definition.schema.name, .unreadable("its number differs from the record's"))
        }
        var head: [UInt8] = [Operation.define.rawValue]
        head.append(varint: UInt64(table))
        head.append(varint: 0)
        try define(definition, head.count + body.count)
    }

    /// The define record of a definition.
    package static func defineRecord(_ definition: TableDefinition) -> [UInt8] {
        record(.define, table: definition.id, json: definition.json())
    }

    /// The tables that result from the define records of a preamble.
    package init(defineRecords bytes: Span<UInt8>) throws(SchemaError) {
        self.init()
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd {
            let record: Record
            do throws(MalformedRecord) {
                record = try reader.record(bytes)
            } catch {
                throw SchemaError(table: "", .unreadable(error.reason))
            }
            try apply(define: record.table, body: bytes.extracting(record.body))
        }
    }

    private static func record(_ operation: Operation, table: UInt32, json: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [operation.rawValue]
        bytes.append(varint: UInt64(table))
        bytes.append(varint: 0)
        bytes.append(varint: UInt64(json.count))
        return bytes + json
    }

    /// The place of the content. Its length comes before it in the body.
    private static func prefixed(_ body: Span<UInt8>) throws(SchemaError) -> Range<Int> {
        var reader = ByteReader(0..<body.count)
        let range: Range<Int>
        do throws(MalformedRecord) {
            range = try reader.take(try reader.varint(body))
        } catch {
            throw SchemaError(table: "", .unreadable(error.reason))
        }
        guard reader.isAtEnd else {
            throw SchemaError(table: "", .unreadable("bytes follow it"))
        }
        return range
    }
}
