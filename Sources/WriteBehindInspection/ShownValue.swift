package import WriteBehindCore
import WriteBehindSQLite

/// A value of a row as the log makes it: one that a database can hold, or a sum that does not fit into 64 bits.
package enum ShownValue: Equatable, Sendable {
    case stored(StoredValue)
    case wide(Int128)

    /// Text for people.
    package func text(as logical: LogicalType?) -> String {
        switch self {
        case .stored(let value): value.text(as: logical)
        case .wide(let sum): "\(sum) (exceeds 64 bits)"
        }
    }

    package func json(as logical: LogicalType?) -> String {
        switch self {
        case .stored(let value): value.json(as: logical)
        case .wide(let sum): "\(sum)"
        }
    }

    /// The values of all columns outside the key.
    package static func row(_ row: [UInt8], _ schema: TableSchema) throws -> [ShownValue] {
        do throws(RowError) {
            return try RowCodec.decodeRow(row.span, schema).map(ShownValue.stored)
        } catch {
            guard case .sumOutOfRange = error.problem, let wide = try WideSums(row) else {
                throw error
            }
            var values = try RowCodec.decodeRow(wide.row.span, schema).map(ShownValue.stored)
            for (column, sum) in wide.sums where !schema.valueColumns[column].isDropped {
                values[column] = .wide(sum)
            }
            return values
        }
    }

    /// The value of one column outside the key.
    package static func value(
        at index: Int, in row: [UInt8], _ schema: TableSchema
    ) throws -> ShownValue {
        do throws(RowError) {
            return .stored(try RowCodec.value(at: index, in: row.span, schema))
        } catch {
            guard case .sumOutOfRange = error.problem, let sum = try WideSums(row)?.sums[index]
            else { throw error }
            return .wide(sum)
        }
    }
}

extension Comparison {
    /// Compares as ``holds(_:_:)-(StoredValue,_)`` does.
    package func holds(_ value: ShownValue, _ wanted: StoredValue) -> Bool {
        switch (value, wanted) {
        case (.stored(let value), _): holds(value, wanted)
        case (.wide(let sum), .integer(let wanted)): holds(sum, Int128(wanted))
        case (.wide, .null): self == .notEqual
        default: false
        }
    }
}
