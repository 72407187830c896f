// E2: what was written later and knew that a sequence had been synced.

extension SegmentScan {
    /// Searches from the fault on, at every byte, for a header that knew `lost` to be synced.
    func witness(of lost: UInt64) throws(LogError) -> Evidence? {
        let chunk = 1 << 20
        var start = end
        while start < fileByteCount {
            let bytes = try segment.read(chunk + BlockHeader.byteCount, at: start)
            var offset = 0
            while offset < chunk, offset + BlockHeader.byteCount <= bytes.count {
                defer { offset += 1 }
                guard bytes[offset] == 0x57, bytes[offset + 1] == 0x2A else { continue }
                let here = bytes.span.extracting(offset..<offset + BlockHeader.byteCount)
                guard let header = try? BlockHeader(decoding: here, salt: segment.header.salt),
                    let synced = header.synced, synced >= lost
                else { continue }
                return .laterWitness(path: segment.path, offset: start + offset, synced: synced)
            }
            start += chunk
        }
        return nil
    }
}
