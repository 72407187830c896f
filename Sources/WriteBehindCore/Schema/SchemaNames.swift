// A declaration beside the table that it is of: which column is which.
//
// A table's columns keep their places for ever, and new ones come behind them, so that a row can be read with any
// later definition. A declaration may be in another order, have other names, and lack columns.

extension TableSchema {
    /// This declaration as its table has it: known columns in their places, new ones behind them.
    ///
    /// A declaration that only lacks the last columns is an older program's: the table keeps them.
    ///
    /// - Parameter byName: whether columns are known by their names, as properties are. A type that is coded by hand
    ///   keeps their order.
    /// - Throws: where a column is missing, or where the columns of the key have another order: rows are sorted and
    ///   found by it.
    package func following(
        _ known: TableSchema, byName: Bool = true
    ) throws(SchemaError) -> TableSchema {
        let matches = try ColumnMatches(self, known, byName: byName)
        var kept: [ColumnSchema] = []
        var isOlder = false
        for (place, was) in known.columns.enumerated() {
            if was.isDropped {
                kept.append(was)
            } else if let index = matches.declared[place] {
                kept.append(was.declared(as: columns[index], keepsDefault: byName))
            } else if droppedColumns.contains(where: { isSameName($0, was.name) }) {
                guard !was.isKey else {
                    throw SchemaError(
                        table: name, column: was.name, .keyChanged(was.type, nowKey: false))
                }
                kept.append(was.dropped)
            } else {
                isOlder = true
                kept.append(was)
            }
        }
        let added = columns.indices.filter {
            !matches.declared.contains($0) && !columns[$0].isDropped
        }.map { columns[$0] }
        try matches.checkMissing(self, known, added: added)
        return TableSchema(
            name, kept + added,
            expiry: newExpiry(known, kept, matches, isOlder: isOlder),
            sqlIndices: newSQLIndices(known, kept, matches, isOlder: isOlder))
    }

    /// Those that the declaration names, or all that the table has if the program is older; with the names that the table
    /// has for their columns from now on.
    private func newSQLIndices(
        _ known: TableSchema, _ kept: [ColumnSchema], _ matches: ColumnMatches, isOlder: Bool
    ) -> [SQLIndexDefinition] {
        (isOlder ? known : self).sqlIndices.compactMap { index in
            let columns = index.columns.compactMap { name -> String? in
                if isOlder {
                    return known.place(of: name).flatMap {
                        kept[$0].isDropped ? nil : kept[$0].name
                    }
                }
                let declared = place(of: name)
                return matches.declared.firstIndex(of: declared).map { kept[$0].name } ?? name
            }
            guard columns.count == index.columns.count else { return nil }
            return SQLIndexDefinition(columns: columns, unique: index.isUnique)
        }
    }

    /// The name of the column that rows expire by, as the table calls it from now on.
    private func newExpiry(
        _ known: TableSchema, _ kept: [ColumnSchema], _ matches: ColumnMatches, isOlder: Bool
    ) -> String? {
        if isOlder {
            // An expiry that came with a column of a later version is that version's affair.
            let place = known.expiry.flatMap { name in
                known.columns.firstIndex { !$0.isDropped && isSameName($0.name, name) }
            }
            return place.flatMap { kept[$0].isDropped ? nil : kept[$0].name }
        }
        let place = expiry.flatMap { name in
            matches.declared.firstIndex { index in
                index.map { isSameName(columns[$0].name, name) } ?? false
            }
        }
        return place.map { kept[$0].name } ?? expiry
    }

    /// For each column outside the key of a declaration of this table, in the declaration's order: its place in a row.
    func valuePlaces(of declared: TableSchema) -> [Int] {
        let values = declared.columns.indices.filter { !declared.columns[$0].isKey }
        guard let matches = try? ColumnMatches(declared, self, byName: true) else {
            return Array(values.indices)
        }
        let stored = columns.indices.filter { !columns[$0].isKey }.map { matches.declared[$0] }
        // All are there: the table was declared with them.
        return values.enumerated().map { place, index in stored.firstIndex(of: index) ?? place }
    }
}

/// Which column of a declaration is which of its table.
struct ColumnMatches {
    /// By place in the table: the index in the declaration.
    private(set) var declared: [Int?]

    init(
        _ schema: TableSchema, _ known: TableSchema, byName: Bool
    ) throws(SchemaError) {
        declared = Array(repeating: nil, count: known.columns.count)
        let keys = schema.keyColumns.indices
        if byName {
            matchNames(schema, known)
            try checkExchanges(schema, known)
        } else {
            try matchOrder(schema, known)
        }
        // The order of the key's columns is the order of rows.
        let order = known.columns.indices.filter { known.columns[$0].isKey }.compactMap {
            declared[$0]
        }
        if order.count == keys.count, order != order.sorted() {
            throw SchemaError(
                table: schema.name, column: schema.keyColumns.first?.name,
                .keyReordered(was: known.keyColumns.map(\.name)))
        }
    }

    /// First the columns that have another name now, then those of the same name, then those that an older program
    /// calls as they were called before.
    private mutating func matchNames(_ schema: TableSchema, _ known: TableSchema) {
        var before: [Int?]?
        while before != declared {
            // One that is called `b` by now, where another that was called `b` is called `c`, comes after that.
            before = declared
            let taken = known.columns.indices.filter { declared[$0] == nil }.map {
                known.columns[$0].name
            }
            match(schema, known) { new, was in
                new.isCalledBefore(was.name) && !taken.contains { isSameName($0, new.name) }
            }
        }
        match(schema, known) { new, was in isSameName(new.name, was.name) }
        match(schema, known) { new, was in was.isCalledBefore(new.name) }
    }

    /// Two names that are each other's former one say nothing of which column is meant, unless it was done before.
    private func checkExchanges(
        _ schema: TableSchema, _ known: TableSchema
    ) throws(SchemaError) {
        for (place, was) in known.columns.enumerated() {
            guard let new = declared[place].map({ schema.columns[$0] }),
                isSameName(new.name, was.name)
            else { continue }
            for (otherPlace, other) in known.columns.enumerated() where otherPlace != place {
                guard let otherNew = declared[otherPlace].map({ schema.columns[$0] }),
                    isSameName(otherNew.name, other.name), new.isCalledBefore(other.name),
                    otherNew.isCalledBefore(was.name), !was.isCalledBefore(other.name)
                else { continue }
                throw SchemaError(
                    table: schema.name, column: new.name, .namesExchanged(with: other.name))
            }
        }
    }

    private mutating func match(
        _ schema: TableSchema, _ known: TableSchema, _ isSame: (ColumnSchema, ColumnSchema) -> Bool
    ) {
        for (place, was) in known.columns.enumerated()
        where !was.isDropped && declared[place] == nil {
            declared[place] = schema.columns.indices.first { index in
                !declared.contains(index) && isSame(schema.columns[index], was)
            }
        }
    }

    private mutating func matchOrder(
        _ schema: TableSchema, _ known: TableSchema
    ) throws(SchemaError) {
        let places = known.columns.indices.filter { place in
            let was = known.columns[place]
            return !was.isDropped
                && !schema.droppedColumns.contains { isSameName($0, was.name) }
        }
        // A table's own schema is a declaration, too, and has its dropped columns.
        let indices = schema.columns.indices.filter { !schema.columns[$0].isDropped }
        for (index, place) in zip(indices, places) {
            let (new, was) = (schema.columns[index], known.columns[place])
            guard
                new.name.utf8.elementsEqual(was.name.utf8) || new.isCalledBefore(was.name)
                    || was.isCalledBefore(new.name)
            else {
                throw SchemaError(
                    table: schema.name, column: new.name,
                    .renamedOrReordered(was: was.name, was.type, now: new.type))
            }
            declared[place] = index
        }
    }

    /// Throws unless what the declaration lacks are the last columns, and it adds none: an older program's. Its rows need
    /// none of them.
    func checkMissing(
        _ schema: TableSchema, _ known: TableSchema, added: [ColumnSchema]
    ) throws(SchemaError) {
        let live = known.columns.indices.filter { place in
            let was = known.columns[place]
            return !was.isDropped
                && !schema.droppedColumns.contains { isSameName($0, was.name) }
        }
        let missing = live.filter { declared[$0] == nil }
        guard var first = missing.first else { return }
        let last = live.filter { !known.columns[$0].isKey }.suffix(missing.count)
        let needed = missing.first {
            !known.columns[$0].isNullable && known.columns[$0].defaultValue == nil
        }
        first = needed ?? first
        guard added.isEmpty, missing.elementsEqual(last), needed == nil else {
            let column = known.columns[first]
            throw SchemaError(table: schema.name, column: column.name, .removed(column.type))
        }
    }
}

extension ColumnSchema {
    /// Whether it had this name before.
    fileprivate func isCalledBefore(_ name: String) -> Bool {
        formerNames.contains { isSameName($0, name) }
    }
}
