/// Why a table's schema is refused. Nothing was written.
public struct SchemaError: Error, Hashable, Sendable {
    /// The table that was to be declared.
    public let table: String
    /// The column at fault; nil if the fault is not in one column.
    public let column: String?
    /// The fault.
    public let problem: Problem

    /// The faults that a schema can have, by itself or compared with the table's present schema.
    #if compiler(>=6.2.3)
        @nonexhaustive
    #endif
    public enum Problem: Hashable, Sendable {
        /// A table or column has no name.
        case emptyName
        /// A name in UTF-8 exceeds ``TableSchema/nameLimit`` bytes.
        case nameTooLong(bytes: Int)
        /// The name contains NUL, where names in SQLite end.
        case nameContainsNUL
        /// The name starts with `sqlite_` or `_writebehind`.
        case reservedName
        /// Another table or column has the same name. The case of ASCII letters does not count.
        case duplicateName
        /// The table has no key. Rows are found by their keys, so it needs one.
        case noKeyColumn
        /// A column of the key may be null.
        case nullableKey
        /// A column of the key has a default.
        case keyWithDefault
        /// A default of another type than its column's.
        case wrongDefaultType(expected: ColumnType, got: ColumnType)
        /// A default that is NaN or infinite.
        case defaultNotFinite
        /// A default that the column cannot hold, such as a `UInt64` above `Int64.max`.
        case unfitDefault(String)
        /// A column is named as dropped, and is declared as well.
        case droppedButDeclared
        /// Each of two columns gives the other's name as its former one. Names cannot be exchanged in one step.
        case namesExchanged(with: String)
        /// A column of this type cannot have this meaning.
        case unfitLogicalType(LogicalType, ColumnType)
        /// More than ``TableSchema/columnLimit`` columns.
        case tooManyColumns(Int)
        /// More tables than a store may have, 65,535.
        case tooManyTables
        /// The definitions of all tables together, as JSON, would take more room than a file of the log has for them.
        case definitionsTooLong(bytes: Int, limit: Int)
        /// ``TableSchema/expiry`` names no column.
        case noSuchExpiryColumn
        /// The expiry column is part of the key or holds no integer.
        case unfitExpiryColumn
        /// A column that was added is not nullable and has no default, so older rows would have no value for it.
        case addedWithoutDefault
        /// A column was added to the key, but older rows have a key without it.
        case addedToKey
        /// A column of this type is not declared any more. A column stays until it is dropped.
        case removed(ColumnType)
        /// The column at this place had another name before. Columns keep their names and places.
        case renamedOrReordered(was: String, ColumnType, now: ColumnType)
        /// The columns of the key have another order than before. `was` is the order before.
        case keyReordered(was: [String])
        /// A column's type is another than before.
        case typeChanged(from: ColumnType, to: ColumnType)
        /// A column of this type may be null now, or may not any more.
        case nullabilityChanged(ColumnType, nowNullable: Bool)
        /// A column of this type came into the key or left it.
        case keyChanged(ColumnType, nowKey: Bool)
        /// A column of this type has another default than before, but older rows have the first one.
        case defaultChanged(ColumnType)
        /// A user has made something with this name in the database: a table, an index, a view or a column.
        case takenInDatabase(by: String)
        /// An index is not possible. For example, it names a column that does not exist.
        case unfitIndex(name: String, reason: String)
        /// A user has made something in the database that uses a dropped column: an index, a view or a trigger.
        case usedInDatabase(by: String)
        /// The table, or this column of it, is none that several stores can count into: see ``SharedTable``.
        case unfitForSharing(String)
        /// It was declared with ``Store/sharedTable(_:)`` before and is not any more, or the other way round.
        case sharingChanged(nowShared: Bool)
        /// A stored definition is damaged.
        case unreadable(String)
    }

    package init(table: String, column: String? = nil, _ problem: Problem) {
        self.table = table
        self.column = column
        self.problem = problem
    }
}

extension SchemaError: CustomStringConvertible {
    public var description: String {
        let place = column.map { ", column \(StoredValue.text($0))" } ?? ""
        return "table \(StoredValue.text(table))\(place): \(problem.reason)"
    }
}

extension SchemaError.Problem {
    fileprivate var reason: String {
        switch self {
        case .emptyName: "the name is empty"
        case .nameTooLong(let bytes):
            "the name takes \(bytes) bytes, more than \(TableSchema.nameLimit)"
        case .nameContainsNUL: "the name contains NUL"
        case .reservedName: "names starting with sqlite_ or _writebehind are reserved"
        case .duplicateName: "the name is taken (names compare without case)"
        case .noKeyColumn: "there is no key column"
        case .nullableKey: "a key column cannot be nullable"
        case .keyWithDefault: "a key column cannot have a default"
        case .wrongDefaultType(let expected, let got):
            "the default is \(got.rawValue), the column \(expected.rawValue)"
        case .defaultNotFinite: "the default is not a finite number"
        case .unfitDefault(let reason):
            "the default cannot be stored, so give another: \(reason)"
        case .droppedButDeclared: "the column is declared, and to be dropped as well"
        case .namesExchanged(let other):
            "it cannot exchange its name with \(StoredValue.text(other)) at once: give one of the two a third name, "
                + "and the other's in a later version"
        case .unfitLogicalType(let logical, let type):
            "a column of type \(type.rawValue) holds no \(logical.rawValue)"
        case .tooManyColumns(let count):
            "there are \(count) columns, more than \(TableSchema.columnLimit)"
        case .tooManyTables: "the store has all the tables it can hold, \(Catalog.tableLimit)"
        case .definitionsTooLong(let bytes, let limit):
            "the definitions of all tables would take \(bytes) bytes, more than \(limit): defaults and names "
                + "of columns take room there"
        case .noSuchExpiryColumn: "the expiry column does not exist"
        case .unfitExpiryColumn: "the expiry column must be an integer outside the key"
        case .takenInDatabase(let what):
            "the database has \(what) of this name that is not the store's; rename or drop it"
        case .unfitIndex(let name, let reason): "index \(StoredValue.text(name)): \(reason)"
        case .usedInDatabase(let what):
            "the column is to be dropped, and the \(what) in the database uses it; drop or change that first"
        case .unfitForSharing(let reason): "as a shared table, \(reason)"
        case .unreadable(let reason): "the stored definition is damaged: \(reason)"
        default: changeReason
        }
    }

    private var changeReason: String {
        switch self {
        case .addedWithoutDefault:
            "an added column must be nullable or have a default, for the rows that are there: make its property "
                + "optional, or give it a value that is a literal or a member such as .text"
        case .addedToKey:
            "a column cannot be added to the key: \(Self.newKey)"
        case .removed(let type):
            "the \(type.rawValue) column is missing, and rows have it: declare it again; a property that was renamed "
                + "keeps its column with @Column(formerly:), and one that is not needed any more is dropped with "
                + "@Table(dropping:)"
        case .keyReordered(let was):
            "the columns of the key were in another order: declare them as "
                + was.map { "\(StoredValue.text($0))" }.joined(separator: ", ")
        case .renamedOrReordered(let name, let old, let new):
            "this \(new.rawValue) column is in the place of \(StoredValue.text(name)) (\(old.rawValue)); "
                + "columns keep name and place, new ones come last"
        case .typeChanged(let old, let new):
            "the type changed from \(old.rawValue) to \(new.rawValue): \(Self.newType)"
        case .nullabilityChanged(let type, let nullable):
            "the \(type.rawValue) column \(nullable ? "became" : "is no longer") nullable: \(Self.newType)"
        case .keyChanged(let type, let key):
            "the \(type.rawValue) column \(key ? "joined" : "left") the key: \(Self.newKey)"
        case .sharingChanged(let isShared):
            isShared
                ? "it is a table of this store alone; a shared one needs another name"
                : "other stores count into it: declare it with sharedTable(_:)"
        case .defaultChanged(let type):
            "the default of the \(type.rawValue) column changed: keep the old one, which older rows have"
        default: "\(self)"
        }
    }

    private static let newType =
        "keep the old type; for another one add a new property, or make a new table and copy the rows"
    private static let newKey =
        "keep the old key; for another one make a new table and copy the rows"
}
