import EventLog
import Glibc
import TestSupport
import Testing

/// Files that were cut, flipped, removed or mixed up are never read as something else.
///
/// Every seventh byte is tried, other ones for each kind of damage, and each flipped with one of three masks. With
/// `EVENTLOG_EXHAUSTIVE` set in the environment, every byte is, with all masks.
@Suite struct DamageTests {
    static let isExhaustive = getenv("EVENTLOG_EXHAUSTIVE") != nil

    /// The offsets to try in a file; of staging's zeroes only few.
    private func offsets(_ path: String, _ bytes: [UInt8], phase: Int) -> [Int] {
        bytes.indices.filter { offset in
            if Self.isExhaustive || offset + 1 == bytes.count { return true }
            let isZero = bytes[offset] == 0 && !path.hasSuffix(".zst")
            return offset % 7 == phase && (!isZero || offset % 97 == 0)
        }
    }

    private func damagedFiles(_ harness: LogHarness) -> [String] {
        harness.segments
            + [LogHarness.layout.staging, LogHarness.layout.cleanEnd]
            .filter { harness.disk.readAll($0) != nil }
    }

    private func expect(
        _ verdictOf: SimulatedDisk, _ harness: LogHarness, _ what: @autoclosure () -> String
    ) {
        let expected = LogOracle.judge(verdictOf)
        do {
            let verdict = try harness.verdict(of: verdictOf)
            if verdict != expected {
                Issue.record("\(what()): \(verdict), the rules say \(expected)")
            }
        } catch {
            Issue.record("\(what()): \(error)")
        }
    }

    @Test(arguments: StoreShape.allCases)
    func aCutAtAnyByteLeavesAPrefixOrNamedDamage(shape: StoreShape) throws {
        let harness = try shape.made()
        for path in damagedFiles(harness) {
            let bytes = try #require(harness.disk.readAll(path))
            for length in offsets(path, bytes, phase: 0) {
                let disk = harness.disk.snapshot()
                try disk.overwrite(path, Array(bytes.prefix(length)))
                expect(disk, harness, "\(shape): \(path) cut to \(length) of \(bytes.count)")
            }
        }
    }

    @Test(arguments: StoreShape.allCases)
    func noFlippedByteGoesUnnoticed(shape: StoreShape) throws {
        let harness = try shape.made()
        let masks: [UInt8] = [0x01, 0x80, 0xFF]
        for path in damagedFiles(harness) {
            let bytes = try #require(harness.disk.readAll(path))
            for offset in offsets(path, bytes, phase: 2) {
                for mask in Self.isExhaustive ? masks : [masks[offset % 3]] {
                    let disk = harness.disk.snapshot()
                    try disk.flip(path, at: offset, mask: mask)
                    expect(disk, harness, "\(shape): \(path) at \(offset) xor \(mask)")
                }
            }
        }
    }

    @Test func noBlockCanBeRemovedDoubledOrMoved() throws {
        for shape in [StoreShape.severalSegments, .sealedAndActive] {
            let harness = try shape.made()
            for path in harness.segments {
                let blocks = try Self.blocks(harness.disk.readAll(path) ?? [])
                for changed in Self.rearranged(blocks) {
                    let disk = harness.disk.snapshot()
                    try disk.overwrite(path, changed.flatMap { $0 })
                    expect(disk, harness, "\(shape): \(path) rearranged")
                }
            }
        }
    }

    /// A segment in parts: header, blocks, and the footer with what follows.
    private static func blocks(_ bytes: [UInt8]) throws -> [[UInt8]] {
        let header = try SegmentHeader(decoding: bytes.span)
        var parts = [Array(bytes.prefix(SegmentHeader.byteCount))]
        var offset = SegmentHeader.byteCount
        while offset < bytes.count {
            let rest = bytes.span.extracting(offset...)
            let block = try BlockHeader(decoding: rest, salt: header.salt)
            let end = offset + BlockHeader.byteCount + Int(block.packedLength)
            parts.append(Array(bytes[offset..<end]))
            offset = end
        }
        return parts
    }

    private static func rearranged(_ parts: [[UInt8]]) -> [[[UInt8]]] {
        var results: [[[UInt8]]] = []
        for index in 1..<parts.count {
            var removed = parts
            removed.remove(at: index)
            var doubled = parts
            doubled.insert(parts[index], at: index)
            results += [removed, doubled]
            guard index + 1 < parts.count else { continue }
            var swapped = parts
            swapped.swapAt(index, index + 1)
            results.append(swapped)
        }
        return results
    }

    /// Every block is changed, where staging holds none of them any more, and that must be named.
    private func expectDamage(
        _ what: String, _ change: (inout [UInt8], _ salt: UInt64) throws -> Void
    ) throws {
        let harness = try StoreShape.sealedAndActive.made()
        try harness.eraseStagedCommits()
        for path in harness.segments {
            let bytes = try #require(harness.disk.readAll(path))
            let salt = try SegmentHeader(decoding: bytes.span).salt
            let parts = try Self.blocks(bytes)
            for index in 1..<parts.count where parts[index][8...11] == [0x57, 0x42, 0x42, 0x31] {
                var changed = parts
                try change(&changed[index], salt)
                let disk = harness.disk.snapshot()
                try disk.overwrite(path, changed.flatMap { $0 })
                #expect(
                    try harness.verdict(of: disk) == .corrupt, "\(path): block \(index) \(what)")
            }
        }
    }

    @Test func aBlockThatIsNumberedAnewIsNoticed() throws {
        try expectDamage("begins one sequence later") { block, salt in
            var header = try BlockHeader(decoding: block.span, salt: salt)
            header.firstSequence += 1
            block.replaceSubrange(..<BlockHeader.byteCount, with: header.encoded(salt: salt))
        }
    }

    /// Before any reader, which would notice as well.
    @Test func aBlockOfTheLastSegmentThatIsNumberedAnewIsNoticedAtOpen() throws {
        let harness = LogHarness()
        try harness.open()
        for _ in 0..<4 {
            try harness.append(commits: 3)
            harness.makeDurable()
        }
        harness.crash(.process)
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        let salt = try SegmentHeader(decoding: bytes.span).salt
        var parts = try Self.blocks(bytes)
        try #require(parts.count == 5)
        let block = parts[2]
        var header = try BlockHeader(decoding: block.span, salt: salt)
        header.firstSequence += 1
        parts[2].replaceSubrange(..<BlockHeader.byteCount, with: header.encoded(salt: salt))
        try harness.disk.overwrite(path, parts.flatMap { $0 })
        try harness.eraseStagedCommits()
        let log = try harness.open()
        #expect(log.recovery.corruption?.firstLost == 4)
    }

    @Test func aBlockOfAnotherHistoryIsNoticedByItsChain() throws {
        try expectDamage("continues another history") { block, salt in
            var header = try BlockHeader(decoding: block.span, salt: salt)
            header.chain ^= 1
            block.replaceSubrange(..<BlockHeader.byteCount, with: header.encoded(salt: salt))
        }
    }

    @Test func aChangeThatZstdDoesNotSeeIsNoticed() throws {
        // The bit of its frame header that it leaves unused.
        try expectDamage("is changed") { block, _ in block[BlockHeader.byteCount + 4] ^= 0x10 }
    }

    @Test func aSegmentThatIsMissingOrMixedUpIsNamed() throws {
        let harness = try StoreShape.severalSegments.made()
        let paths = harness.segments
        try #require(paths.count >= 4)
        let contents = paths.map { harness.disk.readAll($0) ?? [] }
        for index in paths.indices.dropFirst().dropLast() {
            let removed = harness.disk.snapshot()
            try removed.erase(paths[index])
            #expect(try harness.verdict(of: removed) == .corrupt)
            let swapped = harness.disk.snapshot()
            try swapped.overwrite(paths[index], contents[index + 1])
            try swapped.overwrite(paths[index + 1], contents[index])
            #expect(try harness.verdict(of: swapped) == .corrupt)
            let doubled = harness.disk.snapshot()
            try doubled.overwrite(paths[index], contents[index - 1])
            #expect(try harness.verdict(of: doubled) == .corrupt)
        }
        for path in [paths[0], paths[paths.count - 1]] {
            let removed = harness.disk.snapshot()
            try removed.erase(path)
            #expect(try harness.verdict(of: removed) == .corrupt, "\(path)")
        }
    }

    @Test func nothingForeignIsTaken() throws {
        let harness = try StoreShape.sealedAndActive.made()
        let foreign = LogHarness(seed: 99, options: .tiny)
        try foreign.open()
        try foreign.append(commits: 18, byteCount: 61)
        foreign.makeDurable()
        foreign.crash(.process)
        for (path, other) in zip(harness.segments, foreign.segments) {
            // The same store id, as in a copy that went on by itself.
            let disk = harness.disk.snapshot()
            try disk.overwrite(path, foreign.disk.readAll(other) ?? [])
            #expect(try LogHarness.opened(disk, options: .tiny).recovery.corruption != nil)
            let block = harness.disk.snapshot()
            let mine = try Self.blocks(harness.disk.readAll(path) ?? [])
            let theirs = try Self.blocks(foreign.disk.readAll(other) ?? [])
            try block.overwrite(path, ([mine[0], theirs[1]] + mine.dropFirst(2)).flatMap { $0 })
            expect(block, harness, "\(path) with a foreign block")
        }
        let staging = harness.disk.snapshot()
        let path = LogHarness.layout.staging
        try staging.overwrite(path, foreign.disk.readAll(path) ?? [])
        expect(staging, harness, "foreign staging")
    }
}
