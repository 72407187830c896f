/// Appends blocks to one segment file and seals it.
final class SegmentWriter {
    let header: SegmentHeader
    private let file: any DiskFile
    /// The end of the last whole block.
    private(set) var end = SegmentHeader.byteCount
    private(set) var blockCount: UInt32 = 0
    private var table = SeekTable()
    private var lastTime: UInt64

    /// Creates a segment: exclusively, header, fsync. Its name survives power loss once the caller has synced
    /// the directory.
    init(creating path: String, header: SegmentHeader, on disk: any Disk) throws(LogError) {
        self.header = header
        lastTime = header.created
        do throws(SystemError) {
            file = try disk.open(path, .createExclusively)
        } catch {
            throw LogError(error)
        }
        do throws(SystemError) {
            try file.write(header.encoded().span, at: 0)
        } catch {
            // The file holds no block, so nothing is lost if it is removed, and its name must be free again.
            do throws(SystemError) {
                try disk.remove(path)
            } catch let second {
                throw LogError(final: second)
            }
            throw LogError(error)
        }
        table.append(compressed: SegmentHeader.byteCount, decompressed: 0)
        try synchronize()
    }

    var path: String { file.path }

    /// Appends a packed block. If that fails, the file ends where it did before, or the error is
    /// final.
    func append(_ packed: Span<UInt8>, _ block: BlockHeader) throws(LogError) {
        assert(packed.count == BlockHeader.byteCount + Int(block.packedLength))
        // If the file was truncated by another program, the block would restore its length, and hide that.
        try checkFence()
        try write(packed)
        blockCount += 1
        lastTime = block.time
        table.append(compressed: BlockHeader.byteCount, decompressed: 0)
        table.append(compressed: Int(block.packedLength), decompressed: Int(block.rawLength))
    }

    /// Appends a block of another segment, packed as it is, under this file's salt.
    func append(_ found: SegmentScan.Found, of segment: SegmentReader) throws(LogError) {
        guard let packed = try segment.packed(found.header, at: found.offset) else {
            throw .readsDifferently(path: segment.path)
        }
        var header = found.header
        header.content = Checksum.of(packed.span, seed: self.header.salt)
        let bytes = header.encoded(salt: self.header.salt) + packed
        try append(bytes.span, header)
    }

    /// Writes at the end, or leaves the end where it was.
    private func write(_ bytes: Span<UInt8>) throws(LogError) {
        do throws(SystemError) {
            try file.write(bytes, at: end)
        } catch {
            do throws(SystemError) {
                try file.truncate(to: end)
            } catch let second {
                throw LogError(final: second)
            }
            throw error.isDiskFull ? .diskFull(error) : LogError(final: error)
        }
        end += bytes.count
    }

    /// Returns once all blocks survive power loss. Never called again after an error.
    func synchronize() throws(LogError) {
        do throws(SystemError) {
            try file.synchronize()
        } catch {
            throw LogError(final: error)
        }
        try checkFence()
    }

    /// Drops the file from the page cache, so that reading it back asks the device. Everything must be synced.
    func dropCache() { file.dropCache() }

    /// Throws if the path leads to another file, or if the length has changed: restoring a copy over a file
    /// truncates it first.
    func checkFence() throws(LogError) {
        do throws(SystemError) {
            switch try file.standing(at: path) {
            case .inPlace: break
            case .missing: throw SystemError(fenceAt: path, .missing)
            case .replaced: throw SystemError(fenceAt: path, .replaced)
            }
            guard try file.byteCount() == end else {
                throw SystemError(fenceAt: path, .replaced)
            }
        } catch {
            throw LogError(final: error)
        }
    }

    /// Ends the segment with a footer and the seek table, and syncs them. Its blocks must have been synced.
    /// If there is no room for them, the segment stays open.
    func seal(nextSequence: UInt64, chain: UInt64) throws(LogError) {
        assert(blockCount > 0)
        var table = self.table
        table.append(compressed: BlockHeader.byteCount, decompressed: 0)
        let seek = table.encoded()
        let footer = BlockHeader(
            kind: .footer, firstSequence: nextSequence, count: blockCount, flags: .footer,
            unsyncedBefore: 0, packedLength: UInt32(seek.count), rawLength: 0, span: 0,
            time: lastTime,
            content: Checksum.of(seek.span, seed: header.salt), chain: chain)
        try write((footer.encoded(salt: header.salt) + seek).span)
        try synchronize()
    }
}
