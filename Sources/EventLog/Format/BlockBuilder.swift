/// Gathers commits into the payload of one block, then packs it behind its header.
struct BlockBuilder {
    private var raw: [UInt8] = []
    private var firstSequence: UInt64 = 0
    private var count: UInt32 = 0
    private var firstTime: UInt64 = 0
    private var lastTime: UInt64 = 0
    private var flags: LogFlags = []
    private var tables = TableSet()
    /// Whether some records could not be parsed, so that the header says nothing about tables.
    private var hasUnknownTables = false

    var isEmpty: Bool { count == 0 }
    var rawByteCount: Int { raw.count }
    var nextSequence: UInt64 { firstSequence + UInt64(count) }

    /// The most that ``append(_:)`` adds to the payload beyond the record bytes: a base time and a
    /// commit's three varints.
    static let commitOverhead = 40

    /// Puts the schemas at the start of a segment's first block.
    mutating func appendPreamble(_ preamble: Preamble) {
        assert(isEmpty)
        let records = preamble.records
        flags.insert(.preamble)
        raw.append(contentsOf: [Operation.preamble.rawValue, 0, 0])
        raw.append(varint: UInt64(records.count))
        raw.append(contentsOf: records)
    }

    mutating func append(_ commit: StagedCommit) {
        if isEmpty {
            firstSequence = commit.firstSequence
            firstTime = commit.time
            raw.append(varint: firstTime)
        }
        assert(commit.firstSequence == nextSequence)
        assert(commit.time >= lastTime || count == 0)
        count += commit.count
        lastTime = commit.time
        flags.formUnion(commit.flags.intersection([.mark, .define]))
        let records = unsafe commit.records.bindMemory(to: UInt8.self).span
        note(records, areSeveralTables: commit.flags.contains(.severalTables))
        append(records, count: commit.count, time: commit.time)
    }

    /// Appends a commit of another block. All commits of that block must be appended.
    mutating func append(
        _ commit: Commit, _ records: Span<UInt8>, of block: BlockHeader
    ) {
        if isEmpty {
            firstSequence = commit.firstSequence
            firstTime = commit.time
            raw.append(varint: firstTime)
        }
        assert(commit.firstSequence == nextSequence)
        assert(commit.time >= lastTime || count == 0)
        count += commit.count
        lastTime = commit.time
        flags.formUnion(block.flags.intersection([.mark, .define]).union(.reblocked))
        tables.formUnion(block.tables)
        if block.tables.isEmpty { hasUnknownTables = true }
        append(records, count: commit.count, time: commit.time)
    }

    /// Room is made once for the whole commit, because any check for each byte would cost time here.
    private mutating func append(_ records: Span<UInt8>, count: UInt32, time: UInt64) {
        raw.append(addingCapacity: Self.commitOverhead + records.count) { output in
            output.append(varint: UInt64(count))
            output.append(varint: UInt64(records.count))
            output.append(varint: time - firstTime)
            output.append(bytes: records)
        }
    }

    /// The log takes any bytes as records. Bytes that are not records belong to no table.
    private mutating func note(_ records: Span<UInt8>, areSeveralTables: Bool) {
        do throws(MalformedRecord) {
            try tables.insert(tablesOf: records, areSeveral: areSeveralTables)
        } catch {
            hasUnknownTables = true
        }
    }

    /// Appends header and frame to `output` and starts over. Returns the header.
    mutating func pack(
        chain: UInt64, durable: UInt64, salt: UInt64, using compressor: Compressor,
        into output: inout [UInt8]
    ) -> BlockHeader {
        assert(!isEmpty)
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: BlockHeader.byteCount))
        let length = compressor.append(raw.span, to: &output)
        let content = Checksum.of(
            output.span.extracting((start + BlockHeader.byteCount)...), seed: salt)
        let header = BlockHeader(
            kind: .block, firstSequence: firstSequence, count: count, flags: flags,
            unsyncedBefore: UInt32(clamping: firstSequence - 1 - min(durable, firstSequence - 1)),
            packedLength: UInt32(length), rawLength: UInt32(raw.count),
            span: UInt32(clamping: lastTime - firstTime), time: lastTime * 1000,
            content: content, chain: chain, tables: hasUnknownTables ? TableSet() : tables)
        output.replaceSubrange(
            start..<start + BlockHeader.byteCount, with: header.encoded(salt: salt))
        raw.removeAll(keepingCapacity: true)
        count = 0
        flags = []
        tables = TableSet()
        hasUnknownTables = false
        return header
    }
}
