import EventLog
import Synchronization

// Counters: amounts that are added to columns without reading them.

/// A type of integers of which a column holds all values: `Int` and `Int64`. A sum could leave any smaller type, and its rows
/// could not be read any more.
public protocol Countable: ColumnValue, FixedWidthInteger {}

extension Int: Countable {}
extension Int64: Countable {}

extension StoredTable {
    /// Adds to an integer column of a row without reading it: likes, views, votes.
    ///
    /// ```swift
    /// try posts.add(1, to: \.likes, of: post)
    /// ```
    ///
    /// It takes about as long as a ``put(_:cachedFor:)``, wherever the row is, and no two adds are in each other's way. After
    /// a crash an add counts exactly once or, if it was not ``Stage/durable`` yet, not at all.
    ///
    /// - A null counts as the column's default, or else as 0.
    /// - If there is no row with this key, and every column outside the key may be null or has a default, the defaults and
    ///   the amount make one. In any other table the add changes nothing then.
    /// - A sum that does not fit into 64 bits is no error of this call. The database refuses it (<doc:Quarantine>), and
    ///   reads of the row throw ``RowError/Problem/sumOutOfRange``.
    ///
    /// - Parameters:
    ///   - amount: what to add; may be negative.
    ///   - column: the column, as `@Table` made it. It holds integers, and no times.
    ///   - key: the row's key.
    /// - Returns: the receipt of the write, which is ``Stage/staged`` now.
    /// - Throws: ``StoreError/cannotAdd(table:column:reason:)`` if the column takes no amounts; the errors of any write: see
    ///   ``StoredTable``. Then nothing was added.
    @discardableResult
    public func add<V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>, of key: Row.Key
    ) throws(StoreError) -> Receipt {
        try add(amount, at: Row.StoredColumns()[keyPath: column].index, of: key)
    }

    /// Adds to an integer column that may be null, as ``add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)``
    /// does.
    @discardableResult
    public func add<V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>, of key: Row.Key
    ) throws(StoreError) -> Receipt {
        try add(amount, at: Row.StoredColumns()[keyPath: column].index, of: key)
    }

    /// Adds to an integer column, as ``add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` does.
    ///
    /// - Parameter column: the column's name. If its property has a smaller type than `Int`, see that sums stay within it:
    ///   otherwise the row cannot be read until another add brings them back.
    @discardableResult
    public func add(
        _ amount: Int, to column: String, of key: Row.Key
    ) throws(StoreError) -> Receipt {
        try add(amount, at: try index(of: column), of: key)
    }

    /// - Parameter index: the column's place among those outside the key, in the order of the row's type.
    private func add(_ amount: Int, at index: Int, of key: Row.Key) throws(StoreError) -> Receipt {
        try encoders.withEncoder { (encoder) throws(StoreError) in
            try encoder.encode(key)
            while true {
                let form = try addForm(index)
                encoder.body.removeAll(keepingCapacity: true)
                encoder.body.append(
                    add: Int64(amount), to: layout.places[index], makesRow: form.addsMakeRows)
                let written = try engine.write(
                    .add, table: id, key: encoder.key.key.span, body: encoder.body.span,
                    deadline: nil, generation: form.generation)
                if let written { return written }
            }
        }
    }

    /// The place of a column outside the key, in the order of the row's type.
    func index(of column: String) throws(StoreError) -> Int {
        guard let index = layout.valueNames.firstIndex(where: { isSameName($0, column) }) else {
            throw .cannotAdd(
                table: name, column: column, reason: "there is no such column outside the key")
        }
        return index
    }

    /// What the table is like now. Throws if the column takes no amounts.
    func addForm(_ index: Int) throws(StoreError) -> EncoderPool.Form {
        let known = encoders.current
        let isCurrent = known.generation == engine.generation.load(ordering: .relaxed)
        return isCurrent && known.takesAdds(at: index) ? known : try checkedForm(known, index)
    }

    @inline(never)
    private func checkedForm(
        _ known: EncoderPool.Form, _ index: Int
    ) throws(StoreError) -> EncoderPool.Form {
        let form = currentForm(known)
        let place = layout.places[index]
        guard let schema = engine.tables[UInt32(id)]?.schema else { throw .unknownTable(name) }
        if let reason = schema.reasonAgainstAdding(to: place) {
            throw .cannotAdd(table: name, column: layout.valueNames[index], reason: reason)
        }
        return form
    }
}

extension Transaction {
    /// Adds to an integer column of a row without reading it, as
    /// ``StoredTable/add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` does.
    ///
    /// The transaction does not depend on the row by this. If it reads the row, it sees its own adds.
    public mutating func add<Row, V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>, of key: Row.Key,
        in table: StoredTable<Row>
    ) throws(StoreError) {
        try add(amount, at: Row.StoredColumns()[keyPath: column].index, of: key, table)
    }

    /// Adds to an integer column that may be null, as
    /// ``StoredTable/add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` does.
    public mutating func add<Row, V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>,
        of key: Row.Key, in table: StoredTable<Row>
    ) throws(StoreError) {
        try add(amount, at: Row.StoredColumns()[keyPath: column].index, of: key, table)
    }

    /// Adds to an integer column, as ``StoredTable/add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)``
    /// does.
    ///
    /// - Parameter column: the column's name.
    public mutating func add<Row>(
        _ amount: Int, to column: String, of key: Row.Key, in table: StoredTable<Row>
    ) throws(StoreError) {
        try add(amount, at: try table.index(of: column), of: key, table)
    }

    private mutating func add<Row>(
        _ amount: Int, at index: Int, of key: Row.Key, _ table: StoredTable<Row>
    ) throws(StoreError) {
        let bytes = try table.encoded(key)
        let form = try table.addForm(index)
        var body: [UInt8] = []
        body.append(
            add: Int64(amount), to: table.layout.places[index], makesRow: form.addsMakeRows)
        try append(add: body, to: bytes, of: table)
    }

    mutating func append<Row>(
        add body: [UInt8], to key: [UInt8], of table: StoredTable<Row>
    ) throws(StoreError) {
        try check(table)
        commit.append(.add, table: table.id, key: key.span, body: body.span)
        try note(table, key, added: body)
    }
}

extension TableSchema {
    /// Why no amount can be added to a column outside the key; nil if one can.
    func reasonAgainstAdding(to place: Int) -> String? {
        let column = valueColumns[place]
        if changes == .wholeRows {
            return "the table's log has whole rows, and an add does not read the row; use increment"
        }
        if column.isDropped { return "the column was dropped" }
        if place == expiryIndex { return "it says when the row expires" }
        guard column.type == .integer, column.logicalType == nil else {
            return "it holds no plain integers"
        }
        return nil
    }
}

extension [UInt8] {
    /// Appends the body of an add to one column.
    @inline(__always)
    fileprivate mutating func append(add amount: Int64, to place: Int, makesRow: Bool) {
        append((makesRow ? RowMerge.Origin.making : .ifThere).rawValue)
        append(1)
        append(varint: UInt64(place))
        append(ValueTag.amount.rawValue)
        append(varint: zigzag(amount))
    }
}
