/// The two ends of a snapshot file: header and schemas, and the footer.
struct SnapshotOpening {
    let file: SegmentReader
    let head: SnapshotHead
    let preamble: Preamble
    let footer: BlockHeader
    let byteCount: Int
    /// The start of the first block of rows, or of the footer, and the chain before it.
    let firstOffset: Int
    let chain: UInt64

    init(_ path: String, _ environment: LogEnvironment) throws(SnapshotError) {
        func damaged(_ reason: String, at offset: Int = 0) -> SnapshotError {
            .damaged(path: path, offset: offset, reason: reason)
        }
        file = try Self.open(path, environment)
        let file = self.file
        let header = file.header
        guard header.kind == .snapshot else { throw damaged("it is no snapshot") }
        guard header.storeID == environment.storeID else {
            throw damaged("it belongs to another store")
        }
        let byteCount = try reading { () throws(LogError) in try file.byteCount() }
        self.byteCount = byteCount
        guard let (footer, _) = try reading({ () throws(LogError) in try file.footer() }) else {
            throw damaged("it has no footer", at: byteCount)
        }
        let start = SegmentHeader.byteCount
        let item = try reading { () throws(LogError) in
            try file.item(at: start, fileByteCount: byteCount)
        }
        guard case .block(let block) = item, block.firstSequence == 1, block.count == 1,
            block.flags.contains(.preamble),
            let packed = try reading({ () throws(LogError) in try file.packed(block, at: start) })
        else { throw damaged("its first block holds no schemas", at: start) }
        var raw: [UInt8] = []
        guard Decompressor().unpack(packed.span, rawLength: Int(block.rawLength), into: &raw),
            Checksum.of(raw.span, seed: header.chain) == block.chain,
            let preamble = Self.preamble(raw)
        else { throw damaged("its first block holds no valid schemas", at: start) }
        guard footer.firstSequence >= 2, footer.time == block.time else {
            throw damaged("its footer is another's", at: byteCount)
        }
        self.preamble = preamble
        self.footer = footer
        head = SnapshotHead(
            sequence: header.base, chain: header.chain, time: block.time / 1000,
            created: header.created / 1000, previous: header.other)
        firstOffset = start + BlockHeader.byteCount + Int(block.packedLength)
        chain = block.chain
    }

    private static func open(
        _ path: String, _ environment: LogEnvironment
    ) throws(SnapshotError) -> SegmentReader {
        switch try reading({ () throws(LogError) in
            try SegmentReader.open(path, on: environment.disk)
        }) {
        case .opened(let file): return file
        case .badHeader(let fault, _) where fault.isNewer: throw .unsupported(path: path, fault)
        case .badHeader(let fault, _):
            throw .damaged(path: path, offset: 0, reason: "its header is no good: \(fault)")
        }
    }

    static func preamble(_ raw: [UInt8]) -> Preamble? {
        do throws(MalformedRecord) {
            var reader = ByteReader(0..<raw.count)
            let record = try reader.record(raw.span)
            guard record.operation == .preamble, reader.isAtEnd else { return nil }
            var body = ByteReader(record.body)
            let range = try body.take(try body.varint(raw.span))
            return try Preamble(decoding: raw.span.extracting(range))
        } catch {
            return nil
        }
    }
}

extension SnapshotReader {
    /// The sequences of all files in `snapshots/` whose names are those of snapshots, ascending. Only opening them
    /// shows whether they are good.
    package static func sequences(
        _ environment: LogEnvironment
    ) throws(SnapshotError) -> [UInt64] {
        try onFile { () throws(SystemError) in
            let directory = environment.layout.snapshots
            guard try environment.disk.exists(directory) else { return [] }
            return try environment.disk.list(directory)
                .compactMap(StoreLayout.sequence(ofFileNamed:)).sorted()
        }
    }

    /// Opens the snapshot of a sequence.
    package convenience init(
        of sequence: UInt64, in environment: LogEnvironment
    ) throws(SnapshotError) {
        let path = environment.layout.snapshot(sequence)
        try self.init(opening: path, in: environment)
        guard head.sequence == sequence else {
            throw .damaged(path: path, offset: 40, reason: "it is named after another sequence")
        }
    }

    /// Reads all of a snapshot. Throws what is wrong with it.
    package static func verify(
        _ sequence: UInt64, in environment: LogEnvironment
    ) throws(SnapshotError) {
        let reader = try SnapshotReader(of: sequence, in: environment)
        while try reader.next() {}
    }
}
