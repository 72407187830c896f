import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// The fold of amounts, patches and rows: in one go, in parts, and over a base that others have.
@Suite struct AddFoldTests {
    /// A value of the model: sums have no limit.
    private enum Value: Equatable {
        case null
        case integer(Int128)
        case text(Int)

        var bytes: [UInt8] {
            switch self {
            case .null: Bodies.null
            case .integer(let value):
                Int64(exactly: value).map(Bodies.integer) ?? Bodies.wide(value)
            case .text(let number): Bodies.blob(3, UInt8(number))
            }
        }
    }

    private enum Change {
        case put([Value])
        case patch([Int: Value])
        case add([Int: Int64])
        case delete
        case clear
    }

    /// The columns: one that may be null, one with a default, one with both, one of text.
    private static let defaults: [Value] = [.null, .integer(5), .integer(-7), .text(0)]
    private static let keys: [[UInt8]] = [[1], [2], [3]]

    private typealias Rows = [[UInt8]: [Value]]

    /// Changes that a store may log, and the rows after each.
    private struct Script {
        let makesRows: Bool
        var changes: [(key: [UInt8], change: Change)] = []
        var states: [Rows] = []

        init(_ random: inout SeededRandom) {
            makesRows = Bool.random(using: &random)
            var rows: Rows = [:]
            for key in AddFoldTests.keys where Bool.random(using: &random) {
                rows[key] = AddFoldTests.row(&random)
            }
            states = [rows]
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let key = AddFoldTests.keys.randomElement(using: &random) ?? []
                let change = AddFoldTests.change(&random, isThere: rows[key] != nil)
                changes.append((key, change))
                AddFoldTests.apply(change, key, to: &rows, makesRows)
                states.append(rows)
            }
        }
    }

    private static func number(_ random: inout SeededRandom) -> Int64 {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: .max
        case 1: .min
        default: .random(in: -9...9, using: &random)
        }
    }

    private static func row(_ random: inout SeededRandom) -> [Value] {
        [
            Bool.random(using: &random) ? .null : .integer(Int128(number(&random))),
            .integer(Int128(number(&random))),
            Bool.random(using: &random) ? .null : .integer(Int128(number(&random))), .text(1),
        ]
    }

    private static func change(_ random: inout SeededRandom, isThere: Bool) -> Change {
        switch Int.random(in: 0..<20, using: &random) {
        case 0...2: return .put(row(&random))
        // A patch is logged only for a row that is there.
        case 3...7 where isThere:
            let row = row(&random)
            let columns = (0..<4).filter { _ in Bool.random(using: &random) }
            return .patch(Dictionary(uniqueKeysWithValues: columns.map { ($0, row[$0]) }))
        case 8...9: return .delete
        case 10: return .clear
        default:
            let columns = (0..<3).filter { _ in Bool.random(using: &random) }
            return .add(
                Dictionary(uniqueKeysWithValues: columns.map { ($0, number(&random)) }))
        }
    }

    private static func apply(
        _ change: Change, _ key: [UInt8], to rows: inout Rows, _ makesRows: Bool
    ) {
        switch change {
        case .put(let row): rows[key] = row
        case .patch(let values): for (column, value) in values { rows[key]?[column] = value }
        case .delete: rows[key] = nil
        case .clear: rows = [:]
        case .add(let amounts):
            guard var row = rows[key] ?? (makesRows ? defaults : nil) else { return }
            for (column, amount) in amounts {
                var sum = Int128(amount)
                switch (row[column], defaults[column]) {
                case (.integer(let before), _), (.null, .integer(let before)): sum += before
                default: break
                }
                row[column] = .integer(sum)
            }
            rows[key] = row
        }
    }

    private static func body(_ change: Change, makesRows: Bool) -> (Operation, [UInt8]) {
        switch change {
        case .put(let row): (.put, Bodies.row(row.map(\.bytes)))
        case .patch(let values): (.patch, Bodies.patch(values.mapValues(\.bytes)))
        case .add(let amounts):
            (
                .add,
                [makesRows ? 1 : 0]
                    + Bodies.patch(amounts.mapValues { Bodies.amount(Int128($0)) })
            )
        case .delete: (.delete, [])
        case .clear: (.clear, [])
        }
    }

    private static func fold(
        _ script: Script, _ range: Range<Int>, into rows: inout RowTable
    ) throws {
        for place in range {
            let (key, change) = script.changes[place]
            let (operation, body) = body(change, makesRows: script.makesRows)
            let isClear = operation == .clear
            let record = PastHarness.record(operation, isClear ? [] : key, body)
            var reader = ByteReader(0..<record.count)
            let parsed = try reader.record(record.span)
            try rows.apply(parsed, in: record.span, sequence: UInt64(place + 1))
        }
    }

    private static func table() throws -> RowTable {
        var rows = try RowTable(reserving: 4 << 20, hugePages: false, seed: 1)
        rows.setDefaults(table: 1, defaults.map(\.bytes))
        return rows
    }

    private static func values(_ row: [UInt8]) throws -> [Value] {
        var reader = ByteReader(0..<row.count)
        var values: [Value] = []
        for _ in 0..<(try reader.valueCount(row.span)) {
            let start = reader.offset
            try reader.skipValue(row.span)
            let bytes = Array(row[start..<reader.offset])
            var value = ByteReader(1..<bytes.count)
            switch ValueTag(rawValue: bytes[0]) {
            case .null: values.append(.null)
            case .integer: values.append(.integer(Int128(unzigzag(try value.varint(bytes.span)))))
            case .wide:
                let sum = try value.wideInteger(bytes.span)
                #expect(Int64(exactly: sum) == nil, "it would be a plain integer")
                values.append(.integer(sum))
            default: values.append(.text(Int(bytes.last ?? 0)))
            }
        }
        #expect(reader.isAtEnd)
        return values + defaults[values.count...]
    }

    /// A fold's row over the one before it.
    private static func row(
        _ rows: borrowing RowTable, _ key: [UInt8], over base: [UInt8]?
    ) throws -> [UInt8]? {
        guard let reference = rows.reference(table: 1, key: key.span) else {
            return rows.clearedAt[1] == nil ? base : nil
        }
        let change = rows.change(reference)
        let body = rows.withBody(reference) { Array(copying: $0) }
        return try row(change, body, over: base)
    }

    private static func row(
        _ change: ChangeKind, _ body: [UInt8], over base: [UInt8]?
    ) throws -> [UInt8]? {
        var row: [UInt8] = []
        switch change {
        case .put: return body
        case .delete: return nil
        case .patch, .add:
            let isAdd = change == .add
            var patch: Range<Int>? = 0..<body.count
            if isAdd {
                let parts = try RowMerge.parts(body.span)
                patch = base == nil ? parts.missing : parts.there
            }
            guard let patch else { return nil }
            let before = base ?? RowCodec.noValues
            try RowMerge.row(
                before.span, patch: body.span.extracting(patch),
                defaults: defaults.map(\.bytes), into: &row)
            return row
        }
    }

    @Test(arguments: 0..<40)
    func aFoldInTwoPartsOverABaseIsTheFoldOfAll(block: UInt64) throws {
        for seed in block * 25..<(block + 1) * 25 {
            var random = SeededRandom(seed: seed)
            let script = Script(&random)
            let count = script.changes.count
            for split in 0...count {
                var first = try Self.table()
                var second = try Self.table()
                try Self.fold(script, 0..<split, into: &first)
                try Self.fold(script, split..<count, into: &second)
                for key in Self.keys {
                    let base = script.states[0][key].map { Bodies.row($0.map(\.bytes)) }
                    let middle = try Self.row(first, key, over: base)
                    #expect(
                        try middle.map(Self.values) == script.states[split][key],
                        "seed \(seed), first \(split)")
                    let end = try Self.row(second, key, over: middle)
                    #expect(
                        try end.map(Self.values) == script.states[count][key],
                        "seed \(seed), split at \(split)")
                    let merged = try Self.merged(first, second, key, over: base)
                    #expect(
                        try merged.map(Self.values) == script.states[count][key],
                        "seed \(seed), merged at \(split)")
                }
            }
        }
    }

    /// The second fold's change laid over the first one's before either is laid over the base.
    private static func merged(
        _ first: borrowing RowTable, _ second: borrowing RowTable, _ key: [UInt8],
        over base: [UInt8]?
    ) throws -> [UInt8]? {
        guard let older = first.reference(table: 1, key: key.span),
            let newer = second.reference(table: 1, key: key.span), second.clearedAt[1] == nil
        else { return try row(second, key, over: try row(first, key, over: base)) }
        let (before, after) = (first.change(older), second.change(newer))
        let base = first.clearedAt[1] == nil ? base : nil
        let old = first.withBody(older) { Array(copying: $0) }
        let new = second.withBody(newer) { Array(copying: $0) }
        guard [.patch, .add].contains(before), [.patch, .add].contains(after) else {
            return try row(after, new, over: try row(before, old, over: base))
        }
        var change: [UInt8] = []
        let defaults = defaults.map(\.bytes)
        if before == .patch, after == .patch {
            try RowMerge.patch(old.span, new.span, defaults: defaults, into: &change)
            return try row(.patch, change, over: base)
        }
        try RowMerge.add(
            old.span, isAdd: before == .add, new.span, isAdd: after == .add, defaults: defaults,
            into: &change)
        return try row(.add, change, over: base)
    }

    // MARK: bytes that no store wrote

    @Test func sumsOfUpTo128BitsComeBackAsTheyWere() throws {
        for value in [0, 1, -1, 63, 64, -64, -65, Int128(Int64.max) + 1, .max, .min, .max - 1] {
            var bytes: [UInt8] = []
            bytes.append(wideInteger: value)
            #expect(bytes.count <= 19)
            for end in 0..<bytes.count {
                var reader = ByteReader(0..<end)
                let error = #expect(throws: MalformedRecord.self) {
                    try reader.wideInteger(bytes.span)
                }
                #expect(error != nil, "\(value)")
            }
            var reader = ByteReader(0..<bytes.count)
            let found = try reader.wideInteger(bytes.span)
            #expect(found == value && reader.isAtEnd)
        }
        var long = [UInt8](repeating: 0xFF, count: 18) + [4]
        long[18] = 4
        var reader = ByteReader(0..<long.count)
        let error = #expect(throws: MalformedRecord.self) { try reader.wideInteger(long.span) }
        #expect(error?.reason.contains("128") == true)
    }

    /// Over a row, over an add, over a patch, and where there is none: bytes of any kind throw or are taken, and what
    /// throws changes nothing.
    @Test(arguments: 0..<20)
    func malformedAddsChangeNothing(block: UInt64) throws {
        for seed in block * 300..<(block + 1) * 300 {
            var random = SeededRandom(seed: seed)
            var body = [UInt8(random.next() % 4)]
            let column = Int(random.next() % 4)
            let amounts: [Int128] = [.max, .min, 1, Int128(Int64.min)]
            let others = [Bodies.integer(3), Bodies.wide(.max), Bodies.blob(2), Bodies.amount(1)]
            body += Bodies.patch([
                column: Bodies.amount(amounts.randomElement(using: &random) ?? 0),
                column + 1: others.randomElement(using: &random) ?? [],
            ])
            for _ in 0..<Int(random.next() % 3) {
                let place = Int(random.next() % UInt64(body.count))
                body[place] ^= UInt8(truncatingIfNeeded: 1 << (random.next() % 8))
            }
            if random.next() % 4 == 0 { body.removeLast(Int(random.next() % UInt64(body.count))) }
            let before: [(Operation, [UInt8])] = [
                (.put, Bodies.row([Bodies.null, Bodies.integer(.max), Bodies.blob(1)])),
                (.put, Bodies.row([Bodies.wide(.max), Bodies.wide(.min)])),
                (.patch, Bodies.patch([0: Bodies.blob(3), 1: Bodies.wide(.max)])),
                (.add, [0] + Bodies.patch([0: Bodies.amount(.min), 1: Bodies.amount(.max)])),
                (.delete, []),
            ]
            let key: [UInt8] = [1]
            for (operation, old) in before {
                var rows = try Self.table()
                let record = PastHarness.record(operation, key, old)
                var reader = ByteReader(0..<record.count)
                try rows.apply(
                    try reader.record(record.span), in: record.span, sequence: 1)
                let hash = rows.hash(table: 1, key: key.span)
                do throws(MalformedRecord) {
                    _ = try rows.add(hash, 1, key.span, body.span, sequence: 2)
                } catch {
                    let reference = rows.reference(table: 1, key: key.span) ?? 0
                    let left = rows.withBody(reference) { Array(copying: $0) }
                    let sequence = rows.sequence(reference)
                    #expect(sequence == 1 && left == old, "seed \(seed)")
                }
            }
        }
    }

    private static let schema = TableSchema(
        "thing",
        [
            .key("id", .integer), .column("a", .integer), .column("b", .text, nullable: true),
            .column("c", .integer, as: .timestamp, nullable: true),
            .column("d", .integer, nullable: true),
        ])

    @Test func anAddIsDecodedAsItWasEncoded() throws {
        let amounts = [ColumnAmount(column: 0, amount: .min), ColumnAmount(column: 3, amount: 0)]
        for makesRow in [true, false] {
            let add = RowCodec.encodeAdd(amounts, makesRow: makesRow)
            let decoded = try RowCodec.decodeAdd(add.span, Self.schema)
            #expect(decoded.amounts == amounts && decoded.makesRow == makesRow)
        }
    }

    @Test(arguments: [
        [], [2, 0], [1, 1, 0, 1, 2], [1, 1, 1, 5, 2], [1, 1, 2, 5, 2], [1, 1, 9, 5, 2],
        [1, 2, 0, 5, 2, 0, 5, 2], [1, 2, 3, 5, 2, 0, 5, 2], [1, 1, 0, 5, 2, 0], [1, 1, 0, 6, 2],
        [1, 1, 0, 5] + [UInt8](repeating: 0xFF, count: 10) + [1],
    ])
    func anAddOfOtherThingsThanAmountsForIntegersIsRefused(add: [UInt8]) throws {
        let error = #expect(throws: RowError.self) {
            try RowCodec.check(add: add.span, Self.schema)
        }
        #expect(error != nil, "\(add)")
    }
}
