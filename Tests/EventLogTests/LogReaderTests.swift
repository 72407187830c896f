import EventLog
import TestSupport
import Testing

@Suite struct LogReaderTests {
    /// Sealed segments and an active one, everything durable.
    private func made(_ commits: Int = 60) throws -> (LogHarness, Log) {
        let harness = LogHarness(options: .tiny)
        let log = try harness.open()
        try harness.append(commits: commits, count: 2)
        harness.makeDurable()
        return (harness, log)
    }

    private func expectEverySequenceIsFound(_ log: Log) throws {
        for sequence in 1...log.readable {
            let reader = try log.reader(from: sequence)
            #expect(try reader.next(through: log.readable))
            let block = try #require(reader.block)
            #expect(block.firstSequence <= sequence && sequence < block.nextSequence)
            #expect(try log.chain(at: block.firstSequence - 1) == reader.chainBefore)
            while try reader.next(through: log.readable) {}
            #expect(reader.nextSequence == log.readable + 1)
        }
    }

    @Test func aReaderStartsAtAnySequenceByTheSeekTableAndByWalking() throws {
        let (harness, log) = try made()
        #expect(harness.segments.count > 2)
        try expectEverySequenceIsFound(log)
        for path in harness.segments.dropLast() {
            let bytes = try #require(harness.disk.readAll(path))
            try harness.disk.flip(path, at: bytes.count - 20)
        }
        try expectEverySequenceIsFound(log)
    }

    /// Or what the block before it left in memory would be taken for its end.
    @Test func aFrameThatIsShorterThanItsBlockSaysIsRefused() throws {
        var loader = BlockLoader()
        var longer: BlockHeader?
        for count in [2, 1] {
            let harness = LogHarness()
            try harness.open()
            try harness.append(commits: count)
            harness.makeDurable()
            let path = try #require(harness.segments.first)
            let byteCount = try #require(harness.disk.readAll(path)).count
            let start = SegmentHeader.byteCount
            guard case .opened(let segment) = try SegmentReader.open(path, on: harness.disk),
                case .block(var block) = try segment.item(at: start, fileByteCount: byteCount)
            else {
                Issue.record("there is no block")
                return
            }
            if let longer {
                block.rawLength = longer.rawLength
                block.count = longer.count
            }
            let fault = try loader.load(block, at: start, of: segment, chainBefore: nil)
            #expect(fault == (longer == nil ? nil : "the block is no valid zstd frame"))
            longer = block
        }
    }

    @Test func everyCommitIsFoundByItsFirstSequenceOnly() throws {
        let (harness, log) = try made()
        for commit in harness.appended {
            #expect(try log.commit(at: commit.firstSequence) == commit.records)
            #expect(try log.commit(at: commit.firstSequence + 1) == nil)
        }
        #expect(try log.commit(at: log.readable + 1) == nil)
    }

    @Test func aFollowerSeesAGrowingLogOnceAndWhole() throws {
        let harness = LogHarness(seed: 4, options: .tiny)
        let log = try harness.open()
        let reader = try log.reader(from: 1)
        var followed: [LogHarness.Appended] = []
        for round in 0..<150 {
            try harness.append(commits: round % 4, byteCount: round)
            harness.flush(steps: 1)
            if round % 3 == 0 { harness.makeDurable() }
            followed += try LogHarness.read(reader, through: log.readable)
            #expect(followed.last.map { $0.firstSequence } ?? 0 == log.readable)
        }
        #expect(followed == Array(harness.appended.prefix(followed.count)))
        #expect(harness.segments.count > 5)
    }

    @Test func aReaderAtTheEndOfTheLogWaitsForASegmentThatIsBeingMade() throws {
        let (harness, log) = try made(10)
        try harness.disk.overwrite(LogHarness.layout.segment(log.readable + 1), [])
        let reader = try log.reader(from: log.readable + 1)
        #expect(try !reader.next(through: log.readable))
        #expect(reader.nextSequence == log.readable + 1)
    }

    @Test func aDeletedSegmentIsATypedError() throws {
        let (harness, log) = try made()
        let paths = harness.segments
        let follower = try log.reader(from: 1)
        #expect(try follower.next(through: log.readable))
        try harness.disk.erase(paths[0])
        let second = try #require(StoreLayout.sequence(ofFileNamed: String(paths[1].suffix(24))))
        #expect(
            logError { _ = try log.reader(from: 1) } == .deleted(sequence: 1, oldest: second))
        #expect(try log.reader(from: second).next(through: log.readable))
        // It can still read the file that it has open; then the next one is gone.
        try harness.disk.erase(paths[1])
        let third = StoreLayout.sequence(ofFileNamed: String(paths[2].suffix(24)))
        #expect(
            logError { while try follower.next(through: log.readable) {} }
                == .deleted(sequence: second, oldest: third))
    }

    @Test func noLengthIsBelievedBeforeItWasHeldAgainstTheFileAndTheBound() throws {
        let (harness, log) = try made(4)
        let path = try #require(harness.segments.first)
        let bytes = try #require(harness.disk.readAll(path))
        let salt = try SegmentHeader(decoding: bytes.span).salt
        let start = SegmentHeader.byteCount
        let range = start..<start + BlockHeader.byteCount
        let good = try BlockHeader(decoding: bytes.span.extracting(range), salt: salt)
        var raw = good
        raw.rawLength = SegmentHeader.rawBlockCap
        var packed = good
        packed.packedLength = .max
        for (header, reason) in [
            (raw, "the block exceeds its segment's bound"),
            (packed, "the header's packed length is out of range"),
        ] {
            var changed = bytes
            changed.replaceSubrange(range, with: header.encoded(salt: salt))
            try harness.disk.overwrite(path, changed)
            let reader = try log.reader(from: 1)
            guard case .corrupt(let corruption)? = logError({ _ = try reader.next(through: 1) })
            else {
                Issue.record("read")
                continue
            }
            #expect(corruption.reason == reason)
            #expect(corruption.offset == start)
            #expect(corruption.firstLost == 1)
        }
        raw.rawLength += 1
        let tooLong = raw.encoded(salt: salt)
        #expect(throws: FormatFault.outOfRange(field: "raw length")) {
            try BlockHeader(decoding: tooLong.span, salt: salt)
        }
    }

    @Test func anErrorWhileReadingIsNoDamage() throws {
        let (harness, log) = try made(4)
        harness.disk.fail(.read, onFileNamed: ".zst")
        guard case .system? = logError({ _ = try log.reader(from: 1) }) else {
            Issue.record("no error of the system")
            return
        }
        harness.crash(.process)
        harness.disk.fail(.read, onFileNamed: ".zst")
        guard case .system? = logError({ try harness.open() }) else {
            Issue.record("no error of the system")
            return
        }
    }

    @Test func aSealedLogThatIsSaidToGoOnHasLostWhatFollows() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append()
        try harness.close()
        let reader = try LogReader(harness.environment, from: 1)
        #expect(try reader.next(through: 1))
        #expect(throws: LogError.deleted(sequence: 2, oldest: 1)) {
            try reader.next(through: 2)
        }
    }
}
