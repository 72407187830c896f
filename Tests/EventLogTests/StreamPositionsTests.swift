import EventLog
import TestSupport
import Testing

/// The file with the positions of change streams.
@Suite struct StreamPositionsTests {
    private static let store = StoreID(low: 0x0807_0605_0403_0201, high: 0x100F_0E0D_0C0B_0A09)
    private static let file = StreamPositions(
        storeID: store,
        streams: [
            .init(name: "webhook", table: 300, sequence: 4711, chain: 0xABCD, time: 1_700_000),
            .init(name: "ä", table: 0, sequence: 0, chain: 1, time: 2),
            .init(name: "a", table: 1, sequence: 1 << 62, chain: .max, time: 3),
        ])

    @Test func whatIsWrittenIsRead() throws {
        let bytes = Self.file.encoded()
        #expect(try StreamPositions(decoding: bytes.span) == Self.file)
        #expect(Self.file.streams.map(\.name) == ["a", "webhook", "ä"])
        let empty = StreamPositions(storeID: Self.store, streams: [])
        #expect(try StreamPositions(decoding: empty.encoded().span) == empty)
    }

    /// Its first bytes are those that the page "Format" lists.
    @Test func theBytesAreThoseOfTheFormat() {
        let bytes = StreamPositions(
            storeID: Self.store,
            streams: [.init(name: "w", table: 300, sequence: 5, chain: 6, time: 7)]
        ).encoded()
        let expected: [UInt8] =
            Array("WBC1".utf8) + [0, 0, 1, 0] + Array(1...16) + [1, 0, 0, 0, 0, 0, 0, 0]
            + [0xAC, 2, 1, UInt8(ascii: "w"), 5, 0, 0, 0, 0, 0, 0, 0]
            + [6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]
        #expect(Array(bytes.dropLast(8)) == expected)
    }

    @Test func everyChangedByteAndEveryCutIsNoticed() {
        let bytes = Self.file.encoded()
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << UInt8(bit)
                #expect(throws: FormatFault.self) {
                    try StreamPositions(decoding: changed.span)
                }
            }
            #expect(throws: FormatFault.self) {
                try StreamPositions(decoding: Array(bytes[..<index]).span)
            }
        }
    }

    @Test func aNewerVersionIsNoDamage() {
        var bytes = Self.file.encoded()
        bytes[6] = 2
        #expect(throws: FormatFault.unsupportedVersion(2 << 16)) {
            try StreamPositions(decoding: bytes.span)
        }
    }

    @Test func zerosOfAnyLengthAreNoPositions() {
        for count in 0..<100 {
            #expect(throws: FormatFault.self) {
                try StreamPositions(decoding: [UInt8](repeating: 0, count: count).span)
            }
        }
    }

    @Test func whatWasWrittenSurvivesPowerLoss() throws {
        for seed in UInt64(0)..<20 {
            let harness = LogHarness(seed: seed)
            let environment = harness.environment
            try harness.disk.createDirectory(LogHarness.root)
            try harness.disk.synchronizeDirectory("/")
            for number in UInt64(1)...3 {
                let file = StreamPositions(
                    storeID: environment.storeID,
                    streams: [.init(name: "w", table: 1, sequence: number, chain: 1, time: 1)])
                try file.write(environment)
                harness.disk.crash(.power, using: &harness.random)
                #expect(try StreamPositions.read(environment) == .positions(file))
            }
        }
    }

    @Test func theFileIsReplacedAsAWholeOrNotAtAll() throws {
        let harness = LogHarness()
        let environment = harness.environment
        try harness.disk.createDirectory(LogHarness.root)
        var file = StreamPositions(storeID: environment.storeID, streams: [])
        #expect(try StreamPositions.read(environment) == .absent)
        try file.write(environment)
        let old = file
        file.streams = Self.file.streams
        for operation in 1...8 {
            harness.disk.fail(at: operation, with: .errno(5))
            let isWritten = (try? file.write(environment)) != nil
            harness.disk.stopFailing()
            let found = try StreamPositions.read(environment)
            #expect(found == .positions(file) || !isWritten && found == .positions(old))
        }
        let foreign = LogEnvironment(
            disk: harness.disk, layout: environment.layout, storeID: Self.store)
        #expect(
            try StreamPositions.read(foreign) == .unusable(.outOfRange(field: "store UUID")))
    }
}
