extension SegmentReader {
    /// Searches every byte for the next valid header of a block or footer, to go on behind damage.
    ///
    /// - Parameter sequence: the header's sequence is this or a later one.
    package func nextHeader(
        from start: Int, notBefore sequence: UInt64
    ) throws(LogError) -> (header: BlockHeader, offset: Int)? {
        let chunk = 1 << 20
        let end = try byteCount()
        var start = start
        while start < end {
            let bytes = try read(chunk + BlockHeader.byteCount, at: start)
            for offset in 0..<min(chunk, max(0, bytes.count - BlockHeader.byteCount + 1))
            where bytes[offset] == 0x57 && bytes[offset + 1] == 0x2A {
                let here = bytes.span.extracting(offset..<offset + BlockHeader.byteCount)
                if let header = try? BlockHeader(decoding: here, salt: header.salt),
                    header.firstSequence >= sequence
                {
                    return (header, start + offset)
                }
            }
            start += chunk
        }
        return nil
    }
}
