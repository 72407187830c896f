import EventLog
import Foundation

// A table in a define record, as JSON:
//
//   {"columns":[{"key":true,"name":"day","type":"text"},
//               {"name":"delay","nullable":true,"type":"integer"},
//               {"default":{"text":"?"},"name":"carrier","type":"text"}],
//    "expiry":"until","id":1,"name":"flight","revision":2}
//
// Keys are sorted, so one schema has one form. `key`, `nullable`, `logical`, `default`, `expiry`, `changes` and
// `shared` are left out if they are false or absent, and `revision` if it is 1. A default names its type; a blob is in
// hexadecimal. Unknown keys are ignored, so a newer version may add keys that older ones do not need.

/// A table's schema with the number that its records carry.
package struct TableDefinition: Sendable, Hashable {
    /// Counts from 1 in the order of definition. It is never used again for another table.
    package let id: UInt32
    package let schema: TableSchema
    /// How many definitions the table has had, this one included.
    package let revision: UInt32
    /// The highest id that the store may have given to a row (AssignedKeys.swift); 0 if it gives none.
    package let assigned: Int64

    package init(id: UInt32, schema: TableSchema, revision: UInt32 = 1, assigned: Int64 = 0) {
        self.id = id
        self.schema = schema
        self.revision = revision
        self.assigned = assigned
    }

    /// Definitions that were already read, because every segment, snapshot and read of the past begins with all of them.
    private static let known = Lock<[[UInt8]: TableDefinition]>([:])

    /// - Throws: ``SchemaError`` for anything but the JSON of a valid schema.
    package init(json: Span<UInt8>) throws(SchemaError) {
        let bytes = Array(copying: json)
        if let known = Self.known.withLock({ $0[bytes] }) {
            self = known
            return
        }
        try self.init(try DefinitionForm.decode(DefinitionForm.self, json))
        let definition = self
        Self.known.withLock { known in
            if known.count >= 1000 { known = [:] }
            known[bytes] = definition
        }
    }

    package func json() -> [UInt8] { DefinitionForm.encode(DefinitionForm(self)) }

    init(_ form: DefinitionForm) throws(SchemaError) {
        let schema = TableSchema(
            form.name, form.columns.map(ColumnSchema.init), expiry: form.expiry,
            sqlIndices: (form.sqlIndices ?? []).map {
                SQLIndexDefinition(columns: $0.columns, unique: $0.unique ?? false)
            }, changes: form.changes.flatMap(LoggedChanges.init) ?? .columns,
            isShared: form.shared ?? false)
        try schema.validate()
        for (column, form) in zip(schema.columns, form.columns)
        where form.default != nil && column.defaultValue == nil {
            throw SchemaError(
                table: schema.name, column: column.name, .unreadable("unknown kind of default"))
        }
        self.init(
            id: form.id, schema: schema, revision: form.revision ?? 1, assigned: form.assigned ?? 0)
    }
}

/// The JSON of a ``TableDefinition``, key by key.
struct DefinitionForm: Codable {
    var id: UInt32
    var name: String
    var columns: [ColumnForm]
    var expiry: String?
    var sqlIndices: [IndexForm]?
    var changes: String?
    var shared: Bool?
    var revision: UInt32?
    var assigned: Int64?

    struct IndexForm: Codable {
        var columns: [String]
        var unique: Bool?
    }

    struct ColumnForm: Codable {
        var name: String
        var type: ColumnType
        var logical: String?
        var formerly: [String]?
        var wasInteger: Bool?
        var dropped: Bool?
        var key: Bool?
        var nullable: Bool?
        var `default`: ValueForm?
    }

    struct ValueForm: Codable {
        var integer: Int64?
        var real: Double?
        var text: String?
        var blob: String?
    }

    init(_ definition: TableDefinition) {
        id = definition.id
        name = definition.schema.name
        columns = definition.schema.columns.map { column in
            ColumnForm(
                name: column.name, type: column.type, logical: column.logicalType?.rawValue,
                formerly: column.formerNames.isEmpty ? nil : column.formerNames,
                wasInteger: column.wasInteger ? true : nil,
                dropped: column.isDropped ? true : nil,
                key: column.isKey ? true : nil,
                nullable: column.isNullable ? true : nil,
                default: column.defaultValue.map(ValueForm.init))
        }
        expiry = definition.schema.expiry
        if !definition.schema.sqlIndices.isEmpty {
            sqlIndices = definition.schema.sqlIndices.map {
                IndexForm(columns: $0.columns, unique: $0.isUnique ? true : nil)
            }
        }
        if definition.schema.changes != .columns { changes = definition.schema.changes.rawValue }
        shared = definition.schema.isShared ? true : nil
        revision = definition.revision == 1 ? nil : definition.revision
        assigned = definition.assigned == 0 ? nil : definition.assigned
    }

    static func encode(_ form: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // This fails only for numbers that are not finite, which validation refuses.
        return [UInt8](try! encoder.encode(form))
    }

    static func decode<Form: Decodable>(
        _ type: Form.Type, _ json: Span<UInt8>
    ) throws(SchemaError) -> Form {
        let data = unsafe json.withUnsafeBufferPointer { unsafe Data(buffer: $0) }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw SchemaError(table: "", .unreadable("\(error)"))
        }
    }
}

extension DefinitionForm.ValueForm {
    init(_ value: StoredValue) {
        switch value {
        case .null: break
        case .integer(let value): integer = value
        case .real(let value): real = value == 0 ? 0 : value
        case .text(let value): text = value
        case .blob(let value): blob = hexadecimal(value)
        }
    }

    /// The value; nil if this version does not know its kind.
    var value: StoredValue? {
        if let integer { return .integer(integer) }
        if let real { return .real(real) }
        if let text { return .text(text) }
        return blob.flatMap(bytes(hexadecimal:)).map { .blob($0) }
    }
}
