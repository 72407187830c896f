import EventLog

// Bodies of adds, in the grammar of Record.swift.

/// What is added to one column.
package struct ColumnAmount: Sendable, Hashable {
    package let column: Int
    package let amount: Int64

    package init(column: Int, amount: Int64) {
        (self.column, self.amount) = (column, amount)
    }
}

/// The content of an add that was logged.
package struct LoggedAdd: Sendable {
    /// What is added to a row, ascending by column. Together with the defaults, it makes the row if ``makesRow`` says so.
    package var amounts: [ColumnAmount] = []
    /// Whether the row is made if there is none.
    package var makesRow: Bool
    /// The values of a row that is put only if there is none; nil for an add of amounts.
    package var row: [ColumnChange]?
}

extension RowCodec {
    /// The body of an add that puts a row only if there is none, and otherwise adds nothing.
    ///
    /// - Parameter patch: the values of the row; other columns have their defaults.
    package static func encodeAdd(puttingIfAbsent patch: Span<UInt8>) -> [UInt8] {
        var add = [RowMerge.Origin.either.rawValue]
        add.append(varint: UInt64(patch.count))
        unsafe patch.withUnsafeBufferPointer { unsafe add.append(contentsOf: $0) }
        add.append(contentsOf: noValues)
        return add
    }

    /// The body of an add of these amounts, which are given in ascending order of their columns.
    package static func encodeAdd(_ amounts: [ColumnAmount], makesRow: Bool) -> [UInt8] {
        var add = [(makesRow ? RowMerge.Origin.making : .ifThere).rawValue]
        add.append(varint: UInt64(amounts.count))
        for amount in amounts {
            add.append(varint: UInt64(amount.column))
            add.append(ValueTag.amount.rawValue)
            add.append(varint: zigzag(amount.amount))
        }
        return add
    }

    /// Whether an add makes the row of this table if there is none: then every column outside the key may be null or has a
    /// default.
    package static func addsMakeRows(_ schema: TableSchema) -> Bool {
        schema.valueColumns.allSatisfy { $0.isNullable || $0.defaultValue != nil }
    }

    /// Throws unless the bytes are an add that a table of this schema may get.
    package static func check(add: Span<UInt8>, _ schema: TableSchema) throws(RowError) {
        for amount in try decodeAdd(add, schema).amounts {
            let column = schema.valueColumns[amount.column]
            // A table's columns may have changed between the add's encoding and its place in the log.
            guard column.isDropped || column.takesAmounts || column.wasInteger else {
                throw RowError(
                    table: schema.name, column: column.name,
                    .malformed("an amount for a column that holds no integers"))
            }
        }
    }

    /// The content of an add that was logged. The schema may be a later one than that of the time.
    package static func decodeAdd(
        _ add: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> LoggedAdd {
        func malformed(_ reason: String) -> RowError {
            RowError(table: schema.name, .malformed(reason))
        }
        let parts: RowMerge.Parts
        do throws(MalformedRecord) {
            parts = try RowMerge.parts(add)
        } catch {
            throw malformed(error.reason)
        }
        if parts.origin == .either, let missing = parts.missing,
            Array(copying: add.extracting(parts.there)) == noValues
        {
            let row = try decodePatch(add.extracting(missing), schema)
            return LoggedAdd(makesRow: true, row: row)
        }
        guard parts.origin == .ifThere || parts.origin == .making else {
            throw malformed("an add that was merged")
        }
        var reader = ByteReader(1..<add.count)
        var amounts: [ColumnAmount] = []
        for _ in 0..<(try schema.valueCount(&reader, add)) {
            let next = (amounts.last?.column ?? -1) + 1
            let place = try schema.patchColumn(&reader, add, atLeast: next)
            do throws(MalformedRecord) {
                guard try reader.byte(add) == ValueTag.amount.rawValue,
                    let amount = Int64(exactly: try reader.wideInteger(add))
                else { throw MalformedRecord(offset: reader.offset, reason: "no amount") }
                amounts.append(ColumnAmount(column: place, amount: amount))
            } catch {
                throw RowError(
                    table: schema.name, column: schema.valueColumns[place].name,
                    .malformed(error.reason))
            }
        }
        try schema.checkEnd(reader)
        return LoggedAdd(amounts: amounts, makesRow: parts.origin == .making)
    }
}

extension ColumnSchema {
    /// Whether amounts may be added to the column, as far as it alone decides: it holds plain integers.
    package var takesAmounts: Bool {
        type == .integer && logicalType == nil && !isKey && !isDropped
    }
}
