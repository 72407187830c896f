/// Rewrites the last segment: under a temporary name, synced, read back and verified, then renamed.
struct SegmentRewrite {
    private let environment: LogEnvironment
    private let options: LogOptions
    /// The epoch of the writer that made the records, because recovery does not count as a writer.
    private let epoch: UInt64

    init(_ environment: LogEnvironment, options: LogOptions, epoch: UInt64) {
        self.epoch = epoch
        self.environment = environment
        self.options = options
    }

    /// Replaces the last segment by its good blocks and the commits that follow them, sealed. If there are
    /// none of either, it is removed. If there is no last segment, the commits become one. The caller syncs the directory.
    ///
    /// - Parameters:
    ///   - segmentsEnd: where the segments alone end.
    ///   - end: where the log ends with the commits.
    func replace(
        _ last: SegmentScan?, appending staged: [StagingImage.Found], segmentsEnd: LogEnd,
        end: LogEnd
    ) throws(LogError) {
        let old = last?.segment.header
        if last?.blocks.isEmpty ?? true, staged.isEmpty {
            guard let last else { return }
            return try onDisk { () throws(SystemError) in
                try environment.disk.remove(last.segment.path)
            }
        }
        let header = environment.segmentHeader(
            base: old?.base ?? segmentsEnd.nextSequence, chain: old?.chain ?? segmentsEnd.chain,
            rawBlockBound: max(
                Int(old?.rawBlockBound ?? 0), rawBlockBound(segmentsEnd, staged)),
            bufferByteCount: max(
                Int(old?.other ?? 0), options.slotCount * options.slotSize),
            epoch: max(epoch, old?.epoch ?? 0))
        let path = environment.layout.segment(header.base)
        try write(path, header, end: end) { (writer) throws(LogError) in
            if let last {
                for found in last.blocks { try writer.append(found, of: last.segment) }
            }
            let needsPreamble = last?.blocks.isEmpty ?? true
            try append(
                staged, to: writer, chain: segmentsEnd.chain,
                preamble: needsPreamble ? segmentsEnd.preamble : nil)
        }
    }

    /// The most bytes of the new segment. Each commit may become its own block.
    static func roomNeeded(
        _ last: SegmentScan?, appending staged: [StagingImage.Found], _ end: LogEnd
    ) -> Int {
        var blocks = last?.blocks.count ?? 0
        var count = (last?.blocksEnd ?? SegmentHeader.byteCount) + end.preamble.records.count
        for found in staged {
            count += found.commit.byteCount + found.commit.byteCount / 256
            blocks += 1
        }
        let perCommit = 2 * BlockHeader.byteCount + BlockBuilder.commitOverhead
        return count + staged.count * perCommit + 1024
            + SeekTable.byteCount(entries: 2 * blocks + 2)
    }

    /// The limit for raw blocks. Earlier options may have allowed longer commits than today's options.
    private func rawBlockBound(_ end: LogEnd, _ staged: [StagingImage.Found]) -> Int {
        var longest = options.rawBlockBound
        for found in staged { longest = max(longest, unsafe found.commit.records.count) }
        return longest + end.preamble.records.count + 2 * BlockBuilder.commitOverhead
    }

    private func write(
        _ path: String, _ header: SegmentHeader, end: LogEnd,
        _ fill: (SegmentWriter) throws(LogError) -> Void
    ) throws(LogError) {
        let temporary = StoreLayout.temporary(path)
        do throws(LogError) {
            let writer = try SegmentWriter(
                creating: temporary, header: header, on: environment.disk)
            try fill(writer)
            try writer.synchronize()
            try writer.seal(nextSequence: end.nextSequence, chain: end.chain)
            writer.dropCache()
            try SegmentScan.verify(
                temporary, nextSequence: end.nextSequence, chain: end.chain, on: environment.disk)
        } catch {
            // If there is little room, the file of a failed try would take it from the next try.
            try? environment.disk.remove(temporary)
            throw error
        }
        try onDisk { () throws(SystemError) in try environment.disk.rename(temporary, to: path) }
    }

    private func append(
        _ staged: [StagingImage.Found], to writer: SegmentWriter, chain start: UInt64,
        preamble: Preamble?
    ) throws(LogError) {
        guard !staged.isEmpty else { return }
        var builder = BlockBuilder()
        var chain = Chain(start)
        let compressor = Compressor(level: options.compressionLevel)
        func flush() throws(LogError) {
            var packed: [UInt8] = []
            let header = builder.pack(
                chain: chain.value, durable: writer.header.base - 1, salt: writer.header.salt,
                using: compressor, into: &packed)
            try writer.append(packed.span, header)
        }
        if let preamble { builder.appendPreamble(preamble) }
        for found in staged {
            let room = options.rawBlockBound - BlockBuilder.commitOverhead - builder.rawByteCount
            if !builder.isEmpty,
                unsafe builder.rawByteCount >= options.blockSize
                    || found.commit.records.count > room
            {
                try flush()
            }
            unsafe chain.append(timeAndRecords: found.commit.timeAndRecords)
            builder.append(found.commit)
        }
        if !builder.isEmpty { try flush() }
    }
}
