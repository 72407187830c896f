import EventLog
import WriteBehindInspection

/// Describes records that cannot be read, in words and as JSON, in the same way in every command.
enum LossText {
    /// `#12 is lost, of table ev`, `#12 to #19 are lost, 8 records, of tables ev (1 to 7) and player (1 to 7)`
    static func sentence(_ loss: Loss, _ names: TableNames) -> String {
        let tables = names.text(loss)
        return loss.count == 1
            ? "\(place(loss)) is lost, \(tables)"
            : "\(place(loss)) are lost, \(records(loss.count)), \(tables)"
    }

    /// `#12 to #19, 8 records, of tables ev (1 to 7) and player (1 to 7)`
    static func item(_ loss: Loss, _ names: TableNames) -> String {
        "\(place(loss)), \(records(loss.count)), \(names.text(loss))"
    }

    /// `1,212 records in all, of tables ev (606 to 1,211) and player (1 to 606)`; nil if there are not several.
    static func sum(_ losses: [Loss], _ names: TableNames) -> String? {
        guard losses.count > 1, let first = losses.first else { return nil }
        let count = losses.reduce(0) { $0 + $1.count }
        let all = Loss(1...count, losses.dropFirst().reduce(first.tables) { $0.union($1.tables) })
        return "\(records(count)) in all, \(names.text(all))"
    }

    private static func place(_ loss: Loss) -> String {
        let (first, last) = (loss.sequences.lowerBound, loss.sequences.upperBound)
        return first == last ? "#\(first)" : "#\(first) to #\(last)"
    }

    private static func records(_ count: UInt64) -> String {
        WriteBehindText.counted(Int(clamping: count), "record")
    }

    // MARK: JSON

    static func json(_ sequences: ClosedRange<UInt64>) -> JSON {
        .array([.number(sequences.lowerBound), .number(sequences.upperBound)])
    }

    /// null if the tables of all the records are not known.
    static func json(_ tables: LostTables, _ names: TableNames) -> JSON {
        .optional(names.list(tables)) { shares in
            .array(
                shares.map {
                    .object([
                        ("table", .string($0.table)), ("least", .number($0.records.lowerBound)),
                        ("most", .number($0.records.upperBound)),
                    ])
                })
        }
    }

    /// The keys `lost` and `lostTables` of an object.
    static func fields(_ losses: [Loss], _ names: TableNames) -> [(String, JSON)] {
        [
            ("lost", .array(losses.map { json($0.sequences) })),
            ("lostTables", .array(losses.map { json($0.tables, names) })),
        ]
    }
}
