import CZstd
import EventLog

// Makes the checksums right in bytes whose other fields may be anything.

enum RightChecksums {
    /// Of a segment or snapshot: header, blocks, footer, and the chain over what the blocks hold.
    static func inContainer(_ bytes: inout [UInt8]) {
        let start = SegmentHeader.byteCount
        guard bytes.count >= start else { return }
        seal(&bytes, 0..<start, seed: 0)
        let salt = bytes.span.integer(UInt64.self, at: 32)
        var chain = bytes.span.integer(UInt64.self, at: 48)
        let isSnapshot =
            bytes.span.integer(UInt32.self, at: 8) == SegmentHeader.Kind.snapshot.rawValue
        var offset = start
        while offset + BlockHeader.byteCount <= bytes.count {
            let head = offset..<offset + BlockHeader.byteCount
            let end = head.upperBound + Int(bytes.span.integer(UInt32.self, at: offset + 36))
            guard end <= bytes.count else { return seal(&bytes, head, seed: salt) }
            let content = Checksum.of(
                bytes.span.extracting(head.upperBound..<end), seed: salt)
            bytes.store(integer: content, at: offset + 56)
            seal(&bytes, head, seed: salt)
            let header = try? BlockHeader(decoding: bytes.span.extracting(head), salt: salt)
            if let header, header.kind == .block,
                let raw = unpack(bytes[head.upperBound..<end], rawLength: Int(header.rawLength))
            {
                chain =
                    isSnapshot
                    ? Checksum.of(raw.span, seed: chain) : continued(chain, header, raw)
            }
            bytes.store(integer: chain, at: offset + 64)
            seal(&bytes, head, seed: salt)
            offset = end
        }
    }

    private static func seal(_ bytes: inout [UInt8], _ range: Range<Int>, seed: UInt64) {
        let start = range.lowerBound
        let covered = Array(bytes[start..<start + 12] + bytes[start + 16..<range.upperBound])
        let check = Checksum.low(covered.span, seed: seed)
        bytes.store(integer: check, at: start + 12)
    }

    private static func continued(
        _ chain: UInt64, _ header: BlockHeader, _ raw: [UInt8]
    ) -> UInt64 {
        var chain = Chain(chain)
        do {
            var commits = try CommitCursor(header, raw.span)
            while let commit = try commits.next(raw.span) {
                chain.append(time: commit.time, records: raw.span.extracting(commit.records))
            }
        } catch {}  // then no chain is right
        return chain.value
    }

    /// Of a staging file: first page, slots, frames.
    static func inStaging(_ bytes: inout [UInt8]) {
        guard bytes.count >= StagingHeader.byteCount else { return }
        let check = Checksum.of(bytes.span.extracting(0..<56), seed: 0)
        bytes.store(integer: check, at: 56)
        guard let header = try? StagingHeader(decoding: bytes.span), header.slotSize >= 128 else {
            return
        }
        for slot in 0..<header.slotCount {
            let start = StagingHeader.byteCount + slot * header.slotSize
            guard start + header.slotSize <= bytes.count else { return }
            inSlot(&bytes, start..<start + header.slotSize, salt: header.salt)
        }
    }

    private static func inSlot(_ bytes: inout [UInt8], _ slot: Range<Int>, salt: UInt64) {
        let start = slot.lowerBound
        let check = Checksum.low(bytes.span.extracting(start..<start + 16), seed: salt)
        bytes.store(integer: check, at: start + 16)
        bytes.replaceSubrange(slot.suffix(64), with: bytes[start..<start + 64])
        let generation = bytes.span.integer(UInt64.self, at: start + 8)
        var offset = start + 64
        let commitsEnd = slot.upperBound - 64
        while offset + 32 <= commitsEnd {
            let length = bytes.span.integer(UInt32.self, at: offset)
            let end = offset + 32 + Int(length)
            guard length > 0, end <= commitsEnd else { return }
            let seed =
                salt ^ (generation &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(length) << 32)
            let records = Checksum.low(bytes.span.extracting(offset + 32..<end), seed: seed)
            bytes.store(integer: records, at: offset + 8)
            let check = Checksum.low(bytes.span.extracting(offset + 8..<offset + 32), seed: seed)
            bytes.store(integer: check, at: offset + 4)
            offset = (end + 7) & ~7
        }
    }

    // MARK: zstd

    static func pack(_ raw: [UInt8]) -> [UInt8] {
        var packed = [UInt8](repeating: 0, count: ZSTD_compressBound(raw.count))
        let length = ZSTD_compress(&packed, packed.count, raw, raw.count, 1)
        packed.removeLast(packed.count - length)
        return packed
    }

    static func unpack(_ packed: ArraySlice<UInt8>, rawLength: Int) -> [UInt8]? {
        guard rawLength <= 1 << 20 else { return nil }
        var raw = [UInt8](repeating: 0, count: rawLength)
        let length = packed.withUnsafeBytes { source in
            ZSTD_decompress(&raw, raw.count, source.baseAddress, source.count)
        }
        return ZSTD_isError(length) == 0 && length == rawLength ? raw : nil
    }
}
