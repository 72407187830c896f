/// Reads one segment or snapshot file and checks what it reads.
package final class SegmentReader: Sendable {
    /// The bytes at an offset where a header belongs.
    package enum Item: Equatable, Sendable {
        case block(BlockHeader)
        case footer(BlockHeader)
        /// The file ends right here.
        case end
        case damaged(reason: String)
    }

    package let header: SegmentHeader
    private let file: any DiskFile

    private init(file: any DiskFile, header: SegmentHeader) {
        self.file = file
        self.header = header
    }

    package var path: String { file.path }

    package enum Opened: Sendable {
        case opened(SegmentReader)
        case badHeader(FormatFault, byteCount: Int)
    }

    package static func open(_ path: String, on disk: any Disk) throws(LogError) -> Opened {
        try onDisk { () throws(SystemError) in
            let file = try disk.open(path, .read)
            let bytes = try file.bytes(SegmentHeader.byteCount)
            do throws(FormatFault) {
                let header = try SegmentHeader(decoding: bytes.span)
                return .opened(SegmentReader(file: file, header: header))
            } catch {
                return .badHeader(error, byteCount: try file.byteCount())
            }
        }
    }

    package func byteCount() throws(LogError) -> Int {
        try onDisk { () throws(SystemError) in try file.byteCount() }
    }

    /// Reads and checks the header at `offset`, and checks that the file is long enough for the bytes that it
    /// announces.
    package func item(at offset: Int, fileByteCount: Int) throws(LogError) -> Item {
        guard offset < fileByteCount else { return .end }
        let bytes = try read(BlockHeader.byteCount, at: offset)
        let block: BlockHeader
        do throws(FormatFault) {
            block = try BlockHeader(decoding: bytes.span, salt: header.salt)
        } catch {
            return .damaged(reason: "\(error)")
        }
        let end = offset + BlockHeader.byteCount + Int(block.packedLength)
        guard block.kind == .block else {
            let fits = Int(block.count) <= offset / BlockHeader.byteCount
            return fits
                ? .footer(block) : .damaged(reason: "the footer counts blocks that are not there")
        }
        guard end <= fileByteCount else { return .damaged(reason: "the block is cut short") }
        guard block.rawLength <= header.rawBlockBound else {
            return .damaged(reason: "the block exceeds its segment's bound")
        }
        return .block(block)
    }

    /// Reads a block's zstd frame, packed, if its checksum is right.
    package func packed(_ block: BlockHeader, at offset: Int) throws(LogError) -> [UInt8]? {
        let bytes = try read(Int(block.packedLength), at: offset + BlockHeader.byteCount)
        guard bytes.count == Int(block.packedLength),
            Checksum.of(bytes.span, seed: header.salt) == block.content
        else { return nil }
        return bytes
    }

    /// The seek table behind a footer, if it is whole.
    package func seekTable(_ footer: BlockHeader, at offset: Int) throws(LogError) -> SeekTable? {
        let bytes = try read(Int(footer.packedLength), at: offset + BlockHeader.byteCount)
        guard Checksum.of(bytes.span, seed: header.salt) == footer.content else { return nil }
        return SeekTable(decoding: bytes.span)
    }

    /// Finds the footer from the end of the file; nil if there is none or its seek table is
    /// damaged.
    package func footer() throws(LogError) -> (header: BlockHeader, offset: Int)? {
        let count = try byteCount()
        let tail = try read(SeekTable.endLength, at: max(0, count - SeekTable.endLength))
        guard let length = SeekTable.byteCount(endingWith: tail.span) else { return nil }
        let offset = count - length - BlockHeader.byteCount
        guard offset >= SegmentHeader.byteCount,
            case .footer(let footer) = try item(at: offset, fileByteCount: count),
            Int(footer.packedLength) == length
        else { return nil }
        return (footer, offset)
    }

    package func read(_ count: Int, at offset: Int) throws(LogError) -> [UInt8] {
        try onDisk { () throws(SystemError) in try file.bytes(count, at: offset) }
    }
}

/// Unpacks blocks and checks everything in them: content checksum, zstd's own checksum, commits, chain.
package struct BlockLoader {
    private let decompressor = Decompressor()
    package private(set) var payload: [UInt8] = []
    /// The time of the block's first commit, milliseconds since 1970.
    private(set) var firstTime: UInt64 = 0

    package init() {}

    mutating func exchangePayload(_ memory: inout [UInt8]) { swap(&payload, &memory) }

    /// Loads a block into ``payload``. Returns what is wrong with it; nil if it is good.
    ///
    /// - Parameter chainBefore: the chain value before the block's first record; nil if it is unknown because of earlier
    ///   damage. Then the chain is not checked.
    package mutating func load(
        _ block: BlockHeader, at offset: Int, of segment: SegmentReader, chainBefore: UInt64?
    ) throws(LogError) -> String? {
        guard let packed = try segment.packed(block, at: offset) else {
            return "the block's content does not match its checksum"
        }
        guard decompressor.unpack(packed.span, rawLength: Int(block.rawLength), into: &payload)
        else { return "the block is no valid zstd frame" }
        var chain = Chain(chainBefore ?? 0)
        do throws(MalformedRecord) {
            var commits = try CommitCursor(block, payload.span)
            firstTime = .max
            while let commit = try commits.next(payload.span) {
                firstTime = min(firstTime, commit.time)
                chain.append(time: commit.time, records: payload.span.extracting(commit.records))
            }
        } catch {
            return "the block holds no valid records: \(error.reason)"
        }
        guard chainBefore == nil || chain.value == block.chain else {
            return "the block does not continue the log's history"
        }
        return nil
    }
}
