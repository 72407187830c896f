// Compares a declaration with its table: which column of one is which column of the other.
//
// The columns of a table never change their places, and new ones come behind them, so that a row can be read with any
// later definition. A declaration may have its columns in another order, have other names, and lack columns.

extension TableSchema {
    /// This declaration in the form of its table: known columns in their places, new ones behind them.
    ///
    /// If a declaration only lacks the last columns, it is that of an older program, and the table keeps the columns.
    ///
    /// - Parameter byName: whether columns are matched by their names, as properties are. A type that is coded by hand
    ///   keeps their order.
    /// - Throws: if a column is missing, or if the columns of the key have another order, by which rows are sorted and
    ///   found.
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
            sqlIndices: newSQLIndices(known, kept, matches, isOlder: isOlder),
            changes: isOlder ? known.changes : changes, isShared: isShared)
    }

    /// The indices in SQL that the declaration names, or those of the table if the program is older, with the new names of
    /// their columns.
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

    /// The new name of the column by which rows expire.
    private func newExpiry(
        _ known: TableSchema, _ kept: [ColumnSchema], _ matches: ColumnMatches, isOlder: Bool
    ) -> String? {
        if isOlder {
            // If a later version of the program has added the expiry column, an older one does not change it.
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

    /// The place in a row of each column outside the key, in the order of a declaration of this table.
    func valuePlaces(of declared: TableSchema) -> [Int] {
        let values = declared.columns.indices.filter { !declared.columns[$0].isKey }
        guard let matches = try? ColumnMatches(declared, self, byName: true) else {
            return Array(values.indices)
        }
        let stored = columns.indices.filter { !columns[$0].isKey }.map { matches.declared[$0] }
        // All columns are there, because the table was declared with them.
        return values.enumerated().map { place, index in stored.firstIndex(of: index) ?? place }
    }
}

/// Matches the columns of a declaration with those of its table.
struct ColumnMatches {
    /// For each place in the table: the index of the column in the declaration.
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

    /// Matches the columns that are renamed first, then those with the same name, then those for which an older program
    /// still has a former name.
    private mutating func matchNames(_ schema: TableSchema, _ known: TableSchema) {
        var before: [Int?]?
        while before != declared {
            // In a chain of renamings, where `b` becomes `c` and then `a` becomes `b`, the column `b` must be matched first.
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

    /// If each of two names is the former name of the other, it is not clear which column is meant, unless the names were
    /// already exchanged.
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
        // A table's own schema may be given as a declaration, too. It has dropped columns.
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

    /// Throws unless the declaration lacks only the last columns, and adds none: then it is that of an older program, whose
    /// rows do not need these columns.
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
    /// Whether the column had this name before.
    fileprivate func isCalledBefore(_ name: String) -> Bool {
        formerNames.contains { isSameName($0, name) }
    }
}
