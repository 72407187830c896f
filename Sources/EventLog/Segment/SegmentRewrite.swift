/// Writes the last segment anew: under a temporary name, synced, read back and verified, then renamed.
struct SegmentRewrite {
    private let environment: LogEnvironment
    private let options: LogOptions
    /// That of the writer whose records these are: rewriting is no writing of one's own.
    private let epoch: UInt64

    init(_ environment: LogEnvironment, options: LogOptions, epoch: UInt64) {
        self.epoch = epoch
        self.environment = environment
        self.options = options
    }

    /// Replaces the last segment by its good blocks and the frames that follow them, sealed. Without
    /// either it is removed; without a last segment the frames become one. The caller syncs the directory.
    ///
    /// - Parameters:
    ///   - segmentsEnd: where the segments alone end.
    ///   - end: where the log ends with the frames.
    func replace(
        _ last: SegmentScan?, appending frames: [StagingImage.Found], segmentsEnd: LogEnd,
        end: LogEnd
    ) throws(LogError) {
        let old = last?.segment.header
        if last?.blocks.isEmpty ?? true, frames.isEmpty {
            guard let last else { return }
            return try onDisk { () throws(SystemError) in
                try environment.disk.remove(last.segment.path)
            }
        }
        let header = environment.segmentHeader(
            base: old?.base ?? segmentsEnd.nextSequence, chain: old?.chain ?? segmentsEnd.chain,
            rawBlockBound: max(
                Int(old?.rawBlockBound ?? 0), rawBlockBound(segmentsEnd, frames)),
            bufferByteCount: max(
                Int(clamping: old?.other ?? 0), options.slotCount * options.slotSize),
            epoch: max(epoch, old?.epoch ?? 0))
        let path = environment.layout.segment(header.base)
        try write(path, header, end: end) { (writer) throws(LogError) in
            if let last {
                for found in last.blocks { try writer.append(found, of: last.segment) }
            }
            let needsPreamble = last?.blocks.isEmpty ?? true
            try append(
                frames, to: writer, chain: segmentsEnd.chain,
                preamble: needsPreamble ? segmentsEnd.preamble : nil)
        }
    }

    /// How long the new segment is at most: each frame may become a block of its own.
    static func roomNeeded(
        _ last: SegmentScan?, appending frames: [StagingImage.Found], _ end: LogEnd
    ) -> Int {
        var blocks = last?.blocks.count ?? 0
        var count = (last?.blocksEnd ?? SegmentHeader.byteCount) + end.preamble.records.count
        for found in frames {
            count += found.frame.byteCount + found.frame.byteCount / 256
            blocks += 1
        }
        let perFrame = 2 * BlockHeader.byteCount + BlockBuilder.commitOverhead
        return count + frames.count * perFrame + 1024 + SeekTable.byteCount(entries: 2 * blocks + 2)
    }

    /// Frames were made under the options of their time, which may have allowed more than today's.
    private func rawBlockBound(_ end: LogEnd, _ frames: [StagingImage.Found]) -> Int {
        var longest = options.rawBlockBound
        for found in frames { longest = max(longest, unsafe found.frame.records.count) }
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
            // Where there is little room, what a failed try leaves would take it from the next.
            try? environment.disk.remove(temporary)
            throw error
        }
        try onDisk { () throws(SystemError) in try environment.disk.rename(temporary, to: path) }
    }

    private func append(
        _ frames: [StagingImage.Found], to writer: SegmentWriter, chain start: UInt64,
        preamble: Preamble?
    ) throws(LogError) {
        guard !frames.isEmpty else { return }
        var builder = BlockBuilder()
        var chain = Chain(start)
        let compressor = Compressor(level: options.compressionLevel)
        func flush() throws(LogError) {
            var packed: [UInt8] = []
            let header = builder.pack(
                chain: chain.value, synced: writer.header.base - 1, salt: writer.header.salt,
                using: compressor, into: &packed)
            try writer.append(packed.span, header)
        }
        if let preamble { builder.appendPreamble(preamble) }
        for found in frames {
            let room = options.rawBlockBound - BlockBuilder.commitOverhead - builder.rawByteCount
            if !builder.isEmpty,
                unsafe builder.rawByteCount >= options.blockSize || found.frame.records.count > room
            {
                try flush()
            }
            unsafe chain.append(timeAndRecords: found.frame.timeAndRecords)
            builder.append(found.frame)
        }
        if !builder.isEmpty { try flush() }
    }
}
