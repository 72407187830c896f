import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// The entries of an index against an array that is sorted.
@Suite struct OrderedEntriesTests {
    /// An index beside a dictionary of what it must hold.
    final class Pair {
        private var entries: OrderedEntries
        var model: [[UInt8]: [UInt8]] = [:]
        private let hashes: UInt64

        /// - Parameter hashes: how many different ones keys have.
        init(hashes: UInt64 = .max) throws {
            entries = try OrderedEntries(limit: 64 << 20)
            self.hashes = hashes
        }

        init(reserving byteCount: Int) throws {
            entries = try OrderedEntries(reserving: byteCount)
            hashes = .max
        }

        private func hash(_ key: [UInt8]) -> UInt64 { Checksum.of(key.span, seed: 7) % hashes }

        func put(_ key: [UInt8], _ value: [UInt8]) {
            let hasRoom = entries.makeRoom(keyLength: key.count, valueLength: value.count)
            #expect(hasRoom)
            entries.put(hash(key), key.span, value.span)
            model[key] = value
        }

        /// False, with nothing put, if there is no room.
        func putIfThereIsRoom(_ key: [UInt8], _ value: [UInt8]) -> Bool {
            guard entries.makeRoom(keyLength: key.count, valueLength: value.count) else {
                return false
            }
            entries.put(hash(key), key.span, value.span)
            model[key] = value
            return true
        }

        func remove(_ key: [UInt8]) {
            entries.remove(hash(key), key.span)
            model[key] = nil
        }

        func rank(_ key: [UInt8]) -> Int? { entries.rank(hash(key), key.span) }

        var byteCount: Int { entries.byteCount }

        func rankCount(_ part: IndexPart) -> Int { entries.ranks(part).count }

        func keys(_ part: IndexPart = IndexPart(), limit: Int = .max) -> [[UInt8]] {
            let found = entries.entries(part, limit: limit)
            return (0..<found.count).map { found.key($0) }
        }

        /// The model in order: value, then key.
        var sorted: [(position: [UInt8], key: [UInt8])] {
            model.map { ($0.value + $0.key, $0.key) }
                .sorted { $0.position.lexicographicallyPrecedes($1.position) }
        }

        func check(ranks count: Int = 20, _ random: inout SeededRandom) throws {
            let (fault, size) = (entries.fault(), entries.count)
            try #require(fault == nil)
            let sorted = sorted
            try #require(size == sorted.count)
            #expect(keys() == sorted.map(\.key))
            var backwards = IndexPart()
            backwards.isDescending = true
            #expect(keys(backwards, limit: 300) == sorted.reversed().prefix(300).map(\.key))
            for _ in 0..<min(count, sorted.count) {
                let place = Int.random(in: 0..<sorted.count, using: &random)
                #expect(rank(sorted[place].key) == place)
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func randomPutsAndRemovesKeepTheOrderOfASortedArray(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pair = try Pair()
        // Few values make ties, many keys make several levels.
        let (keys, values) = [(40, 5), (3_000, 40), (3_000, 1_000_000)][Int(seed) % 3]
        for step in 0..<12_000 {
            var key: [UInt8] = []
            key.append(keyInteger: Int64.random(in: 0..<Int64(keys), using: &random))
            if Int.random(in: 0..<10, using: &random) < (step < 6_000 ? 2 : 6) {
                pair.remove(key)
            } else {
                var value: [UInt8] = []
                value.append(
                    keyInteger: Int64.random(
                        in: -Int64(values)...Int64(values), using: &random))
                pair.put(key, value)
            }
            if step % 3_000 == 2_999 { try pair.check(&random) }
        }
        for key in Array(pair.model.keys) { pair.remove(key) }
        try pair.check(&random)
    }

    @Test func keysThatBeginWithOthersStayApart() throws {
        var random = SeededRandom(seed: 9)
        let pair = try Pair()
        for length in 0..<200 {
            pair.put(Array(repeating: 97, count: length), [0, 0])
        }
        try pair.check(ranks: 200, &random)
        for length in stride(from: 0, to: 200, by: 3) {
            pair.remove(Array(repeating: 97, count: length))
        }
        try pair.check(ranks: 200, &random)
    }

    @Test func keysOfOneHashStayApart() throws {
        var random = SeededRandom(seed: 10)
        let pair = try Pair(hashes: 3)
        for number in 0..<300 {
            var key: [UInt8] = []
            key.append(keyInteger: Int64(number))
            pair.put(key, [UInt8(number % 7)])
            if number % 5 == 0 { pair.remove(key) }
        }
        try pair.check(ranks: 300, &random)
    }

    @Test func valuesMayGrowAndShrink() throws {
        var random = SeededRandom(seed: 11)
        let pair = try Pair()
        for step in 0..<3_000 {
            let key = [UInt8(Int.random(in: 0..<60, using: &random))]
            let length = [0, 3, 40, 5_000, 70_000][step % 5]
            let byte = UInt8.random(in: 1...3, using: &random)
            pair.put(key, Array(repeating: byte, count: length) + [0, 0])
        }
        try pair.check(&random)
    }

    @Test func ascendingEntriesFillTheirLeaves() throws {
        let pair = try Pair()
        var random = SeededRandom(seed: 12)
        for number in 0..<20_000 {
            var key: [UInt8] = []
            key.append(keyInteger: Int64(number))
            pair.put(key, key)
        }
        try pair.check(&random)
        // 24 bytes of block, 12 of leaf and 9 to 14 of slot, and what pages round up to.
        #expect(pair.byteCount < 20_000 * 60)
    }

    @Test func memoryOfEntriesThatWentIsUsedAgain() throws {
        let pair = try Pair()
        var random = SeededRandom(seed: 13)
        func put(_ numbers: Range<Int>) -> [[UInt8]] {
            numbers.map { number in
                var key: [UInt8] = []
                key.append(keyInteger: Int64(number))
                pair.put(key, [UInt8(number % 251), UInt8(number % 241)])
                return key
            }
        }
        var keys = put(0..<50_000)
        let full = pair.byteCount
        // In any order, leaves are two thirds full.
        #expect(full < 50_000 * 60)
        for round in 1...3 {
            keys.shuffle(using: &random)
            for key in keys.dropLast(500) { pair.remove(key) }
            keys = keys.suffix(500) + put(round * 100_000..<round * 100_000 + 49_500)
        }
        try pair.check(&random)
        #expect(pair.byteCount < full + full / 8)
    }

    /// With 336 bytes, the tree needs a page for its 79th leaf when the last one has just been taken for entries, of which
    /// some are free.
    @Test(arguments: stride(from: 216, through: 376, by: 8).map(\.self))
    func thereIsNoRoomOnceANodeWouldHaveNone(valueLength: Int) throws {
        let pair = try Pair(reserving: 2 << 20)
        var random = SeededRandom(seed: 15)
        let value = [UInt8](repeating: 7, count: valueLength)
        func key() -> [UInt8] {
            var key: [UInt8] = []
            key.append(keyInteger: Int64(pair.model.count))
            return key
        }
        while pair.putIfThereIsRoom(key(), value) {}
        try pair.check(&random)
        #expect(pair.byteCount > (2 << 20) * 3 / 4)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func entriesOfManySizesMayUseUpTheAddressSpace(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pair = try Pair(reserving: 2 << 20)
        // The longest is more than a page.
        let lengths = [[0, 8, 20], [0, 30, 500], [8, 3_000], [0, 200, 70_000]][Int(seed) % 4]
        var keys: [[UInt8]] = []
        while true {
            var key: [UInt8] = []
            key.append(keyInteger: Int64.random(in: .min ... .max, using: &random))
            let length = lengths[Int.random(in: 0..<lengths.count, using: &random)]
            let value = [UInt8](
                repeating: .random(in: 0...255, using: &random), count: length)
            guard pair.putIfThereIsRoom(key, value) else { break }
            keys.append(key)
            if Int.random(in: 0..<5, using: &random) == 0 {
                pair.remove(keys[Int.random(in: 0..<keys.count, using: &random)])
            }
        }
        try pair.check(&random)
        #expect(pair.byteCount > 1 << 20)
    }

    @Test func partsAndCursorsAreThoseOfASortedArray() throws {
        var random = SeededRandom(seed: 14)
        let pair = try Pair()
        for number in 0..<2_000 {
            var (key, value): ([UInt8], [UInt8]) = ([], [])
            key.append(keyInteger: Int64(number))
            value.append(keyInteger: Int64.random(in: 0..<50, using: &random))
            pair.put(key, value)
        }
        let sorted = pair.sorted
        for _ in 0..<300 {
            var part = IndexPart()
            part.isDescending = Bool.random(using: &random)
            var bounds: [[UInt8]?] = []
            for _ in 0..<2 {
                var value: [UInt8] = []
                value.append(keyInteger: Int64.random(in: -1...50, using: &random))
                bounds.append(Int.random(in: 0..<4, using: &random) == 0 ? nil : value)
            }
            (part.lower, part.upper) = (bounds[0], bounds[1])
            if Bool.random(using: &random) {
                part.after = sorted.randomElement(using: &random)?.position
            }
            var wanted = sorted.filter { entry in
                let value = Array(entry.position.prefix(8))
                return part.lower.map { !value.lexicographicallyPrecedes($0) } ?? true
                    && part.upper.map { !$0.lexicographicallyPrecedes(value) } ?? true
            }
            if part.isDescending { wanted.reverse() }
            if let after = part.after {
                wanted.removeAll {
                    part.isDescending
                        ? !$0.position.lexicographicallyPrecedes(after)
                        : !after.lexicographicallyPrecedes($0.position)
                }
            }
            #expect(pair.rankCount(part) == wanted.count)
            #expect(pair.keys(part, limit: 30) == wanted.prefix(30).map(\.key))
        }
    }
}
