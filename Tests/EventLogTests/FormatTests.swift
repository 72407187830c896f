import EventLog
import TestSupport
import Testing

/// Format version 1, byte by byte.
@Suite(.serialized) struct FormatTests {
    @Test(.enabled(if: GoldenStore.isWriting)) func writeGoldenFiles() throws {
        let disk = try GoldenStore.made()
        let log = try LogHarness.opened(disk.snapshot(), options: .tiny)
        try GoldenStore.write(disk, commits: try commits(log))
    }

    /// First sequence, count, time and records of every commit.
    private func commits(_ log: Log) throws -> [[String]] {
        var found: [[String]] = []
        let reader = try log.reader(from: 1)
        while try reader.next(through: log.readable) {
            var commits = try reader.commits()
            while let commit = try commits.next(reader.payload.span) {
                let records = Array(reader.payload[commit.records])
                found.append(
                    ["\(commit.firstSequence)", "\(commit.count)", "\(commit.time)"]
                        + [GoldenStore.hexadecimal(records)])
            }
        }
        return found
    }

    /// Of two commits, at 15 ms and then; the block's header says that it ends at 20.
    @Test(arguments: [(15, true), (20, true), (14, false), (21, false)] as [(UInt64, Bool)])
    func commitsOfABlockAscendInTimeUpToItsHeaders(time: UInt64, isAccepted: Bool) throws {
        let base: UInt64 = 10
        var payload: [UInt8] = []
        payload.append(varint: base)
        for time in [15, time] {
            payload += [1, 1]
            payload.append(varint: time - base)
            payload.append(0)
        }
        let header = BlockHeader(
            kind: .block, firstSequence: 1, count: 2, flags: [], unsyncedBefore: 0, packedLength: 0,
            rawLength: UInt32(payload.count), span: 0, time: 20_000, content: 0, chain: 0)
        var commits = try CommitCursor(header, payload.span)
        #expect(try commits.next(payload.span)?.time == 15)
        let second = try? commits.next(payload.span)
        #expect(second?.time == (isAccepted ? time : nil))
    }

    @Test func headersAreEncodedAsTheyAlwaysWere() throws {
        let golden = try GoldenStore.lines("headers-v1.txt")
        #expect(golden.count == GoldenStore.headers.count)
        for (line, header) in zip(golden, GoldenStore.headers) {
            #expect(line == [header.name, GoldenStore.hexadecimal(header.bytes)])
        }
    }

    @Test func headersAreDecodedToWhatWasEncoded() throws {
        for (name, bytes) in GoldenStore.headers {
            switch name {
            case "segment", "snapshot":
                #expect(try SegmentHeader(decoding: bytes.span).encoded() == bytes)
            case "seek-table":
                let table = SeekTable(decoding: bytes.span)
                #expect(table?.encoded() == bytes)
                #expect(table?.blockOffsets == [128])
            default:
                let header = try BlockHeader(decoding: bytes.span, salt: GoldenStore.salt)
                #expect(header.encoded(salt: GoldenStore.salt) == bytes)
            }
        }
    }

    @Test func aStoreOfVersion1OpensForEver() throws {
        let log = try LogHarness.opened(try GoldenStore.stored(), options: .tiny)
        #expect(log.recovery.corruption == nil)
        #expect(log.recovery.tornBytes == 0)
        #expect(log.recovery.commitsFromStaging == 2)
        #expect(try commits(log) == GoldenStore.lines("commits-v1.txt"))
        #expect(log.preamble.records.count == 21)
    }

    @Test func theSameHistoryIsWrittenInTheSameBytes() throws {
        let (made, stored) = (try GoldenStore.made(), try GoldenStore.stored())
        #expect(made.readAll("/store/staging") == stored.readAll("/store/staging"))
        let paths = LogHarness.segments(on: made)
        #expect(paths == LogHarness.segments(on: stored))
        #expect(paths.count == 4)
        for path in paths {
            #expect(try withoutPacking(path, made) == withoutPacking(path, stored), "\(path)")
        }
    }

    /// A segment's bytes, without the parts that depend on zstd's version: blocks unpacked, seek table left out.
    private func withoutPacking(_ path: String, _ disk: SimulatedDisk) throws -> [UInt8] {
        guard case .opened(let segment) = try SegmentReader.open(path, on: disk) else { return [] }
        var bytes = try segment.read(SegmentHeader.byteCount, at: 0)
        var (loader, chain) = (BlockLoader(), segment.header.chain)
        var offset = bytes.count
        let count = try segment.byteCount()
        while case .block(var header) = try segment.item(at: offset, fileByteCount: count) {
            #expect(try loader.load(header, at: offset, of: segment, chainBefore: chain) == nil)
            chain = header.chain
            offset += BlockHeader.byteCount + Int(header.packedLength)
            (header.packedLength, header.content) = (0, 0)
            bytes += header.encoded(salt: segment.header.salt) + loader.payload
        }
        return bytes
    }

    @Test func foreignNewerAndDamagedAreThreeThings() throws {
        let good = GoldenStore.headers[0].bytes
        var foreign = good
        foreign[8] ^= 0xFF
        var damaged = good
        damaged[40] ^= 1
        #expect(throws: FormatFault.checksumMismatch) { try SegmentHeader(decoding: damaged.span) }
        #expect(logFault(foreign) == .unknownMagic(0x3153_42A8))
        #expect(logFault(sealed(good, 2 << 16, at: 72)) == .unsupportedVersion(2 << 16))
        #expect(logFault(sealed(good, 1 << 16 + 1, at: 72)) == nil)
        #expect(logFault(sealed(good, 4, at: 76)) == .unsupportedFeatures(4))
        #expect(logFault(Array(good.dropLast())) == .truncated(byteCount: 127))
    }

    private func logFault(_ bytes: [UInt8]) -> FormatFault? {
        do throws(FormatFault) {
            _ = try SegmentHeader(decoding: bytes.span)
            return nil
        } catch {
            return error
        }
    }

    /// A header with one field changed and a checksum that is right.
    private func sealed(_ header: [UInt8], _ value: UInt32, at offset: Int) -> [UInt8] {
        var bytes = header
        bytes.store(integer: value, at: offset)
        let covered = bytes[..<12] + bytes[16...]
        bytes.store(integer: Checksum.low(Array(covered).span, seed: 0), at: 12)
        return bytes
    }

    @Test(arguments: [(72, UInt32(2 << 16)), (76, 1)])
    func whatANewerLibraryWroteIsRefusedAndLeftAlone(offset: Int, value: UInt32) throws {
        let disk = try GoldenStore.stored()
        let path = try #require(LogHarness.segments(on: disk).last)
        let bytes = try #require(disk.readAll(path))
        let newer = sealed(Array(bytes.prefix(SegmentHeader.byteCount)), value, at: offset)
        try disk.overwrite(path, newer + bytes.dropFirst(SegmentHeader.byteCount))
        let files = disk.allFiles.map { disk.readAll("/" + $0) }
        let error = logError { _ = try LogHarness.opened(disk, options: .tiny) }
        guard case .unsupported(path, let fault)? = error, fault.isNewer else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(disk.allFiles.map { disk.readAll("/" + $0) } == files)
    }

    @Test func aNewerStagingFileIsRefusedAndLeftAlone() throws {
        let disk = try GoldenStore.stored()
        var bytes = try #require(disk.readAll("/store/staging"))
        // Its checksum may be anywhere: the version is looked at before.
        for page in 0..<2 { bytes.store(integer: UInt32(2 << 16), at: page * 4096 + 4) }
        try disk.overwrite("/store/staging", bytes)
        #expect(
            logError { _ = try LogHarness.opened(disk, options: .tiny) }
                == .unsupported(path: "/store/staging", .unsupportedVersion(2 << 16)))
        #expect(disk.readAll("/store/staging") == bytes)
    }

    @Test func zeroesAreNeverValid() throws {
        for count in 0..<300 {
            let zeroes = [UInt8](repeating: 0, count: count)
            #expect(throws: FormatFault.self) { try SegmentHeader(decoding: zeroes.span) }
            #expect(throws: FormatFault.self) { try BlockHeader(decoding: zeroes.span, salt: 0) }
            #expect(SeekTable(decoding: zeroes.span) == nil)
            let page = [UInt8](repeating: 0, count: 4000 + count)
            #expect(throws: FormatFault.self) { try StagingHeader(decoding: page.span) }
            var reader = ByteReader(0..<count)
            #expect(throws: MalformedRecord.self) { try reader.record(zeroes.span) }
        }
    }

    @Test func zeroesBehindTheLogAreATornTail() throws {
        let harness = try StoreShape.oneBlock.made()
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        for count in 1..<300 where count % 7 == 1 {
            let disk = harness.disk.snapshot()
            try disk.overwrite(path, bytes + [UInt8](repeating: 0, count: count))
            #expect(try harness.verdict(of: disk) == .prefix(end: 3))
        }
    }
}
