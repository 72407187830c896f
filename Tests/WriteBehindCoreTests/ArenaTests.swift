import TestSupport
import Testing
import WriteBehindCore

@Suite struct ArenaTests {
    @Test func everySizeFitsItsClassWithoutMuchWaste() {
        for byteCount in 1...SizeClass.largestBytes {
            let sizeClass = SizeClass.of(byteCount)
            let block = SizeClass.granules(sizeClass) * SizeClass.granule
            // The steps that SizeClass.swift promises: 8 bytes, an eighth, a third at the end.
            let waste =
                byteCount <= 256 ? 16 : byteCount <= 4_096 ? byteCount / 8 + 8 : block / 3 + 8
            let isFine =
                1...SizeClass.count ~= sizeClass && byteCount...(byteCount + waste) ~= block
                && SizeClass.of(block) == sizeClass
            if !isFine { Issue.record("\(byteCount) bytes in a block of \(block)") }
        }
    }

    /// Fills every block with a byte of its own and finds all of them unharmed at each step.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func blocksNeverOverlap(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var arena = try Arena(reserving: 64 << 20)
        var model: [Arena.Reference: (length: Int, mark: UInt8)] = [:]
        for step in 0..<3_000 {
            if model.count > 400 || (step % 3 == 2 && !model.isEmpty),
                let victim = model.randomElement(using: &random)
            {
                expectMarked(arena, victim.key, victim.value, seed)
                arena.free(victim.key)
                model[victim.key] = nil
                continue
            }
            let length = Self.length(&random)
            let mark = UInt8.random(in: 1...255, using: &random)
            let reference = arena.allocate(length)
            try #require(reference != 0)
            #expect(model[reference] == nil, "seed \(seed)")
            arena.address(reference).initializeMemory(
                as: UInt8.self, repeating: mark, count: length)
            model[reference] = (length, mark)
        }
        for (reference, block) in model { expectMarked(arena, reference, block, seed) }
        expectWalkFinds(Set(model.keys), in: arena, seed)
        for reference in model.keys { arena.free(reference) }
        #expect(arena.bytesInUse == 0)
        arena.trim()
        #expect(arena.bytesResident == 0)
    }

    @Test func anEmptiedPageServesAnotherClass() throws {
        var arena = try Arena(reserving: 2 << 20)
        for length in [100, 4_000, 20_000, 64, 30_000, 1 << 20] {
            var blocks: [Arena.Reference] = []
            while true {
                let reference = arena.allocate(length)
                if reference == 0 { break }
                arena.address(reference).storeBytes(of: 1, as: UInt8.self)
                blocks.append(reference)
            }
            #expect(arena.bytesInUse > 1_500_000, "blocks of \(length)")
            #expect(arena.bytesResident == 2 << 20)
            for reference in blocks { arena.free(reference) }
        }
    }

    @Test func residentMemoryKeepsToTheLimitThatIsAsked() throws {
        var arena = try Arena(reserving: 64 << 20)
        let limit = 6 << 20
        while arena.hasRoom(for: 200, residentLimit: limit) {
            let reference = arena.allocate(200)
            arena.address(reference).storeBytes(of: 1, as: UInt8.self)
        }
        #expect(arena.bytesResident == limit)
        let hasRoomForMore = arena.hasRoom(for: 300_000, residentLimit: limit)
        #expect(!hasRoomForMore)
    }

    private static func length(_ random: inout SeededRandom) -> Int {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: Int.random(in: 1...200_000, using: &random)
        case 1...4: Int.random(in: 1...SizeClass.largestBytes, using: &random)
        default: Int.random(in: 1...300, using: &random)
        }
    }

    private func expectMarked(
        _ arena: borrowing Arena, _ reference: Arena.Reference,
        _ block: (length: Int, mark: UInt8), _ seed: UInt64
    ) {
        let bytes = UnsafeRawBufferPointer(start: arena.address(reference), count: block.length)
        let places = stride(from: 0, to: block.length, by: block.length / 16 + 1)
        let isUnharmed = places.allSatisfy { bytes[$0] == block.mark } && bytes.last == block.mark
        #expect(isUnharmed, "seed \(seed)")
        let blockBytes = arena.blockBytes(reference)
        #expect(blockBytes >= block.length)
    }

    private func expectWalkFinds(
        _ expected: Set<Arena.Reference>, in arena: borrowing Arena, _ seed: UInt64
    ) {
        var found: Set<Arena.Reference> = []
        var cursor = Arena.Cursor()
        while case let reference = arena.next(&cursor), reference != 0 { found.insert(reference) }
        #expect(found == expected, "seed \(seed)")
    }
}
