import EventLog
import TestSupport
import Testing
import WriteBehindCore

@Suite struct RowTableTests {
    /// A row of the model.
    private enum Row: Equatable {
        case full([[UInt8]])
        case partial([Int: [UInt8]])
        case tombstone

        var body: [UInt8] {
            switch self {
            case .full(let values): Bodies.row(values)
            case .partial(let values): Bodies.patch(values)
            case .tombstone: []
            }
        }

        var state: RowState {
            switch self {
            case .full: .full
            case .partial: .partial
            case .tombstone: .tombstone
            }
        }
    }

    private struct Key: Hashable, Comparable {
        var table: UInt16
        var bytes: [UInt8]

        static func < (left: Key, right: Key) -> Bool {
            if left.table != right.table { return left.table < right.table }
            return left.bytes.lexicographicallyPrecedes(right.bytes)
        }
    }

    /// The fold on dictionaries: what the table must equal.
    private struct Model {
        var rows: [Key: (row: Row, sequence: UInt64)] = [:]
        static let defaults: [[UInt8]] = [
            Bodies.integer(1), Bodies.null, Bodies.blob(3), Bodies.integer(-9),
        ]

        mutating func patch(_ key: Key, _ patch: [Int: [UInt8]], _ sequence: UInt64) {
            switch rows[key]?.row {
            case .full, .tombstone:
                var values: [[UInt8]] = []
                if case .full(let old)? = rows[key]?.row { values = old }
                for (column, value) in patch {
                    while values.count <= column {
                        let next = values.count
                        let known = key.table == 1 && next < Self.defaults.count
                        values.append(known ? Self.defaults[next] : Bodies.null)
                    }
                    values[column] = value
                }
                rows[key] = (.full(values), sequence)
            case .partial(let old):
                rows[key] = (.partial(old.merging(patch) { $1 }), sequence)
            case nil:
                rows[key] = (.partial(patch), sequence)
            }
        }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func foldEqualsTheFoldOfDictionaries(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var table = try RowTable(reserving: 256 << 20, seed: seed)
        table.setDefaults(table: 1, Model.defaults)
        var model = Model()
        for sequence in 1...3_000 as ClosedRange<UInt64> {
            try step(&table, &model, sequence, &random)
        }
        expectEqual(table, model, seed)
    }

    @Test func allHashesAlikeAreToldApartByKey() throws {
        var table = try RowTable(reserving: 1 << 20, seed: 1)
        for number in 0..<200 as Range<UInt8> {
            let body = Bodies.row([Bodies.integer(Int64(number))])
            _ = table.put(42, 1, [number].span, body.span, sequence: UInt64(number) + 1)
        }
        for number in 0..<200 as Range<UInt8> {
            let place = table.find(42, 1, [number].span)
            let sequence = table.sequence(place.reference)
            #expect(sequence == UInt64(number) + 1)
            if number % 2 == 0 { table.remove(place) }
        }
        for number in 0..<200 as Range<UInt8> {
            let reference = table.find(42, 1, [number].span).reference
            #expect((reference == 0) == (number % 2 == 0))
        }
    }

    @Test func aRunThatReachesTheEndGrowsTheIndex() throws {
        var table = try RowTable(reserving: 16 << 20, seed: 1)
        let numbers = 0..<2_000 as Range<UInt64>
        for number in numbers {
            var key: [UInt8] = []
            key.append(integer: number)
            _ = table.put(0xFFFF_FFFF - number, 1, key.span, [0].span, sequence: number + 1)
        }
        for number in numbers {
            var key: [UInt8] = []
            key.append(integer: number)
            let reference = table.find(0xFFFF_FFFF - number, 1, key.span).reference
            #expect(reference != 0)
        }
    }

    @Test(arguments: [
        ("columns that do not ascend", [2, 1, 0, 1, 0] as [UInt8]),
        ("a column twice", [2, 3, 0, 3, 0]),
        ("a column beyond every table", [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]),
        ("an unknown tag", [1, 0, 9]),
        ("a value that ends early", [1, 0, 4, 200, 1]),
        ("more values than bytes", [100]),
        ("nothing", []),
    ])
    func aMalformedPatchChangesNothing(what: String, patch: [UInt8]) throws {
        let row = Bodies.row([Bodies.integer(5), Bodies.null])
        for state in [RowState.absent, .full, .partial] {
            var table = try RowTable(reserving: 1 << 20, seed: 1)
            if state == .full { _ = table.put(7, 1, [1].span, row.span, sequence: 1) }
            if state == .partial {
                _ = try table.patch(
                    7, 1, [1].span, Bodies.patch([1: Bodies.null]).span, sequence: 1)
            }
            let count = table.count
            var thrown: MalformedRecord?
            do { _ = try table.patch(7, 1, [1].span, patch.span, sequence: 2) } catch {
                thrown = error
            }
            #expect(thrown != nil)
            #expect(table.count == count)
            let reference = table.find(7, 1, [1].span).reference
            let sequence = reference == 0 ? 1 : table.sequence(reference)
            #expect(sequence == 1)
        }
    }

    @Test func sortedOrderIsThatOfTablesThenKeyBytes() throws {
        var random = SeededRandom(seed: 3)
        var table = try RowTable(reserving: 64 << 20, seed: 3)
        var keys: Set<Key> = []
        for sequence in 1...3_000 as ClosedRange<UInt64> {
            var bytes = Array("airport:".utf8)
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                bytes.append([0, 1, 255].randomElement(using: &random) ?? 0)
            }
            let key = Key(table: UInt16.random(in: 1...3, using: &random), bytes: bytes)
            keys.insert(key)
            let hash = table.hash(table: key.table, key: bytes.span)
            _ = table.put(hash, key.table, bytes.span, [0].span, sequence: sequence)
        }
        var sorted: [Key] = []
        for reference in table.sortedReferences() { sorted.append(key(of: reference, table)) }
        #expect(sorted == keys.sorted())
    }

    /// Few rows are removed one by one, many at once.
    @Test(arguments: [10, 5_000])
    func removingAllRowsLeavesATableLikeANewOne(count: Int) throws {
        var table = try RowTable(reserving: 64 << 20, seed: 3)
        for round in 1...3 as ClosedRange<UInt64> {
            for number in 0..<count {
                let key = Array("key \(number)".utf8)
                let body = Bodies.blob(number % 100 == 7 ? 100_000 : number % 300)
                let hash = table.hash(table: 1, key: key.span)
                _ = table.put(hash, 1, key.span, body.span, sequence: round)
            }
            #expect(table.count == count)
            #expect(table.sortedReferences().count == count)
            table.removeAll()
            let rest = table.references()
            #expect(table.count == 0 && table.bytesInUse == 0 && rest.isEmpty)
            for number in 0..<count {
                let key = Array("key \(number)".utf8)
                #expect(table.reference(table: 1, key: key.span) == nil)
            }
        }
    }

    private func step(
        _ table: inout RowTable, _ model: inout Model, _ sequence: UInt64,
        _ random: inout SeededRandom
    ) throws {
        let key = Key(
            table: [1, 2, 300].randomElement(using: &random) ?? 1,
            bytes: [UInt8](
                repeating: UInt8.random(in: 0..<20, using: &random),
                count: [0, 1, 8, 16, 300].randomElement(using: &random) ?? 1))
        let hash = table.hash(table: key.table, key: key.bytes.span)
        switch Int.random(in: 0..<1_000, using: &random) {
        case 0:
            table.clear(key.table, sequence: sequence)
            model.rows = model.rows.filter { $0.key.table != key.table }
        case 1..<100:
            _ = table.delete(hash, key.table, key.bytes.span, sequence: sequence)
            model.rows[key] = (.tombstone, sequence)
        case 100..<150:
            table.remove(table: key.table, key: key.bytes.span)
            model.rows[key] = nil
        case 150..<550:
            let values = (0..<Int.random(in: 0..<6, using: &random)).map { _ in value(&random) }
            let deadline = Bool.random(using: &random) ? sequence : nil
            _ = table.put(
                hash, key.table, key.bytes.span, Bodies.row(values).span, sequence: sequence,
                deadline: deadline)
            model.rows[key] = (.full(values), sequence)
        default:
            var patch: [Int: [UInt8]] = [:]
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                patch[Int.random(in: 0..<7, using: &random)] = value(&random)
            }
            _ = try table.patch(
                hash, key.table, key.bytes.span, Bodies.patch(patch).span, sequence: sequence)
            model.patch(key, patch, sequence)
        }
    }

    private func value(_ random: inout SeededRandom) -> [UInt8] {
        switch Int.random(in: 0..<400, using: &random) {
        case 0: Bodies.blob(Int.random(in: 0...100_000, using: &random))
        case 1..<50: Bodies.null
        case 50..<200: Bodies.blob(Int.random(in: 0...300, using: &random))
        default: Bodies.integer(Int64.random(in: .min ... .max, using: &random))
        }
    }

    private func expectEqual(_ table: borrowing RowTable, _ model: Model, _ seed: UInt64) {
        let references = table.references()
        #expect(references.count == model.rows.count, "seed \(seed)")
        for (key, expected) in model.rows {
            guard let reference = table.reference(table: key.table, key: key.bytes.span) else {
                Issue.record("a row is missing, seed \(seed)")
                continue
            }
            let (state, sequence) = (table.state(reference), table.sequence(reference))
            #expect(state == expected.row.state, "seed \(seed)")
            #expect(sequence == expected.sequence, "seed \(seed)")
            let body = table.withBody(reference) { body in body.indices.map { body[$0] } }
            #expect(body == expected.row.body, "seed \(seed)")
            #expect(self.key(of: reference, table) == key)
        }
    }

    private func key(of reference: RowTable.Reference, _ table: borrowing RowTable) -> Key {
        let bytes = table.withKey(reference) { key in key.indices.map { key[$0] } }
        return Key(table: table.table(reference), bytes: bytes)
    }
}
