import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// A row with sums that do not fit into 64 bits, taken apart. Snapshots and the fold of the log have such rows; the log itself
/// and databases never do.
struct WideSums {
    /// So many adds, at the most, write one row again. Only a forged file has sums that need more.
    private static let addLimit = 1_000

    /// The row, with the nearest integers of 64 bits in the place of the sums.
    private(set) var row: [UInt8] = []
    /// The sums, by the place of their columns outside the key.
    private(set) var sums: [Int: Int128] = [:]

    /// nil if the row has no such sum.
    init?(_ body: [UInt8]) throws(MalformedRecord) {
        let bytes = body.span
        var reader = ByteReader(0..<bytes.count)
        var copied = 0
        for column in 0..<(try reader.valueCount(bytes)) {
            let start = reader.offset
            guard start < body.count, body[start] == ValueTag.wide.rawValue else {
                try reader.skipValue(bytes)
                continue
            }
            reader.offset += 1
            let sum = try reader.wideInteger(bytes)
            row += body[copied..<start]
            row.append(rowInteger: Int64(clamping: sum))
            copied = reader.offset
            sums[column] = sum
        }
        if sums.isEmpty { return nil }
        row += body[copied...]
    }

    /// The bodies of the adds that make the whole row of ``row``; nil if they are too many.
    var adds: [[UInt8]]? {
        var bodies: [[UInt8]] = []
        for (column, sum) in sums.sorted(by: { $0.key < $1.key }) {
            var rest = sum - Int128(Int64(clamping: sum))
            while rest != 0 {
                guard bodies.count < Self.addLimit else { return nil }
                let amount = Int64(clamping: rest)
                let add = [ColumnAmount(column: column, amount: amount)]
                bodies.append(RowCodec.encodeAdd(add, makesRow: false))
                rest -= Int128(amount)
            }
        }
        return bodies
    }
}
