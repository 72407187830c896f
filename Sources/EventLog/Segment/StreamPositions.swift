// change-streams, a file that is there once a store has had a change stream:
//
//      0  u32  "WBC1"
//      4  u32  format version: major << 16 + minor
//      8  16   store UUID
//     24  u32  number of streams
//     28  u32  zero
//     32       stream*, ascending by the bytes of their names
//    end-8 u64 XXH3-64, unseeded, of everything before it
//
//     stream := varint(table) varint(length) name u64(sequence) u64(chain) u64(time)
//
// A position names the end of a commit, and the log's chain value there, so that it cannot be taken for a place in
// another history. Its table is 0 for a stream of all tables. The file is replaced as a whole.

/// The positions of all change streams of a store.
package struct StreamPositions: Equatable, Sendable {
    package struct Stream: Equatable, Sendable {
        package var name: String
        /// 0 for all tables.
        package var table: UInt32
        /// The end of a commit: everything through it was acknowledged, or holds nothing for the stream.
        package var sequence: UInt64
        /// The log's chain value after that commit.
        package var chain: UInt64
        /// That commit's time, milliseconds since 1970.
        package var time: UInt64

        package init(
            name: String, table: UInt32, sequence: UInt64, chain: UInt64, time: UInt64
        ) {
            (self.name, self.table) = (name, table)
            (self.sequence, self.chain, self.time) = (sequence, chain, time)
        }
    }

    static let magic: UInt32 = 0x3143_4257  // "WBC1"
    private static let headByteCount = 32
    package static let nameLimit = 255
    package static let countLimit = 1000
    /// More bytes than any valid file has.
    package static let byteLimit = 1 << 20

    package var storeID: StoreID
    package var streams: [Stream]

    package init(storeID: StoreID, streams: [Stream]) {
        self.storeID = storeID
        self.streams = streams.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: Self.magic)
        bytes.append(integer: SegmentHeader.version)
        bytes.append(integer: storeID.low)
        bytes.append(integer: storeID.high)
        bytes.append(integer: UInt32(streams.count))
        bytes.append(integer: 0 as UInt32)
        for stream in streams {
            bytes.append(varint: UInt64(stream.table))
            bytes.append(varint: UInt64(stream.name.utf8.count))
            bytes.append(contentsOf: stream.name.utf8)
            for field in [stream.sequence, stream.chain, stream.time] {
                bytes.append(integer: field)
            }
        }
        bytes.append(integer: Checksum.of(bytes.span, seed: 0))
        return bytes
    }

    /// Decodes a whole file; any bytes may be given.
    package init(decoding bytes: Span<UInt8>) throws(FormatFault) {
        guard bytes.count >= Self.headByteCount + 8 else {
            throw .truncated(byteCount: bytes.count)
        }
        let magic = bytes.integer(UInt32.self, at: 0)
        guard magic == Self.magic else { throw .unknownMagic(magic) }
        try SegmentHeader.check(version: bytes.integer(UInt32.self, at: 4))
        let end = bytes.count - 8
        guard Checksum.of(bytes.extracting(0..<end), seed: 0) == bytes.integer(UInt64.self, at: end)
        else { throw .checksumMismatch }
        storeID = StoreID(bytes.extracting(8..<24))
        let count = bytes.integer(UInt32.self, at: 24)
        guard count <= Self.countLimit else { throw .outOfRange(field: "number of streams") }
        streams = []
        do {
            var reader = ByteReader(Self.headByteCount..<end)
            for _ in 0..<count { streams.append(try Self.stream(&reader, bytes)) }
            guard reader.isAtEnd else { throw FormatFault.outOfRange(field: "length") }
        } catch {
            throw .outOfRange(field: "stream")
        }
    }

    private static func stream(_ reader: inout ByteReader, _ bytes: Span<UInt8>) throws -> Stream {
        guard let table = UInt32(exactly: try reader.varint(bytes)) else {
            throw FormatFault.outOfRange(field: "table")
        }
        let name = bytes.extracting(try reader.take(try reader.varint(bytes)))
        let place = try reader.take(24).lowerBound
        let stream = Stream(
            name: String(copying: try UTF8Span(validating: name)), table: table,
            sequence: bytes.integer(UInt64.self, at: place),
            chain: bytes.integer(UInt64.self, at: place + 8),
            time: bytes.integer(UInt64.self, at: place + 16))
        guard stream.sequence <= Frame.sequenceLimit else {
            throw FormatFault.outOfRange(field: "sequence")
        }
        return stream
    }
}

extension StreamPositions {
    /// The bytes on disk.
    package enum Found: Equatable, Sendable {
        case absent
        case positions(StreamPositions)
        case unusable(FormatFault)
    }

    package static func read(_ environment: LogEnvironment) throws(LogError) -> Found {
        let path = environment.layout.changeStreams
        let bytes = try onDisk { () throws(SystemError) -> [UInt8]? in
            guard try environment.disk.exists(path) else { return nil }
            return try environment.disk.open(path, .read).bytes(byteLimit)
        }
        guard let bytes else { return .absent }
        do throws(FormatFault) {
            let file = try StreamPositions(decoding: bytes.span)
            guard file.storeID == environment.storeID else {
                return .unusable(.outOfRange(field: "store UUID"))
            }
            return .positions(file)
        } catch {
            return .unusable(error)
        }
    }

    /// Replaces the file. The new content survives power loss once this returns.
    package func write(_ environment: LogEnvironment) throws(LogError) {
        try onDisk { () throws(SystemError) in
            try environment.disk.replace(environment.layout.changeStreams, with: encoded())
            try environment.disk.synchronizeDirectory(environment.layout.root)
        }
    }
}
