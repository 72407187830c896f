import CZstd

/// The part of zstd that the demo needs.
enum Zstd {
    /// The content of zstd frames; nil if they are damaged.
    static func unpack(_ packed: [UInt8]) -> [UInt8]? {
        guard let context = unsafe ZSTD_createDCtx() else { return nil }
        defer { unsafe _ = ZSTD_freeDCtx(context) }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        var hint = 1
        var written = 0
        // After the last input, bytes that did not fit into the chunk are still to come.
        while offset < packed.count || (hint != 0 && written == chunk.count) {
            (offset, written) = unsafe packed.withUnsafeBytes { source in
                unsafe chunk.withUnsafeMutableBytes { target in
                    var from = unsafe ZSTD_inBuffer(
                        src: source.baseAddress, size: source.count, pos: offset)
                    var to = unsafe ZSTD_outBuffer(
                        dst: target.baseAddress, size: target.count, pos: 0)
                    hint = unsafe ZSTD_decompressStream(context, &to, &from)
                    return unsafe (from.pos, to.pos)
                }
            }
            guard ZSTD_isError(hint) == 0 else { return nil }
            output += chunk[..<written]
        }
        // zstd returns 0 when a frame has ended, otherwise how many bytes it expects next.
        return hint == 0 ? output : nil
    }

    /// The number of unpacked bytes in the frames, from their headers alone; nil if a header does not have it.
    static func rawSize(_ packed: [UInt8]) -> Int? {
        unsafe packed.withUnsafeBytes { bytes in
            var total = 0
            var rest = unsafe bytes[...]
            while unsafe !rest.isEmpty {
                let frame = unsafe UnsafeRawBufferPointer(rebasing: rest)
                let raw = unsafe ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
                let length = unsafe ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count)
                guard let raw = Int(exactly: raw), ZSTD_isError(length) == 0 else { return nil }
                total += raw
                unsafe rest = rest.dropFirst(length)
            }
            return total
        }
    }
}
