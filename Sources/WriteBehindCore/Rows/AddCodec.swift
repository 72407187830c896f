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

extension RowCodec {
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

    /// The amounts of an add that was logged, and whether it makes its row. The schema may be a later one than that of the
    /// time.
    package static func decodeAdd(
        _ add: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> (amounts: [ColumnAmount], makesRow: Bool) {
        func malformed(_ reason: String) -> RowError {
            RowError(table: schema.name, .malformed(reason))
        }
        let origin: RowMerge.Origin
        do throws(MalformedRecord) {
            origin = try RowMerge.origin(add)
        } catch {
            throw malformed(error.reason)
        }
        guard origin == .ifThere || origin == .making else {
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
        return (amounts, origin == .making)
    }
}

extension ColumnSchema {
    /// Whether amounts may be added to the column, as far as it alone decides: it holds plain integers.
    package var takesAmounts: Bool {
        type == .integer && logicalType == nil && !isKey && !isDropped
    }
}
