import CZstd

/// Contexts of zstd that are not in use. Making one asks the processor for its features, which in a virtual machine takes
/// longer than a small block, and every file that is read needs a context.
private struct IdleContexts: ~Copyable, Sendable {
    /// Addresses.
    private let idle = Lock<[UInt]>([])

    func take() -> OpaquePointer? {
        unsafe idle.withLock { $0.popLast() }.flatMap { unsafe OpaquePointer(bitPattern: $0) }
    }

    /// Whether the context is kept for the next caller; a few are enough.
    func keep(_ context: OpaquePointer) -> Bool {
        let address = UInt(bitPattern: context)
        return idle.withLock { idle in
            guard idle.count < 4 else { return false }
            idle.append(address)
            return true
        }
    }
}

/// Compresses whole frames; one context, reused.
@safe final class Compressor {
    private static let idle = IdleContexts()

    private let context: OpaquePointer
    /// zstd's level for the frames to come. It may be negative, and is clamped to zstd's range.
    var level: Int {
        didSet { if level != oldValue { use(level) } }
    }

    init(level: Int) {
        // zstd fails to make a context, or to set a parameter it documents, only without memory.
        guard let made = unsafe Self.idle.take() ?? ZSTD_createCCtx() else {
            fatalError("out of memory for zstd")
        }
        unsafe context = made
        self.level = level
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        use(level)
    }

    private func use(_ level: Int) {
        unsafe ZSTD_CCtx_setParameter(
            context, ZSTD_c_compressionLevel,
            min(max(Int32(clamping: level), ZSTD_minCLevel()), ZSTD_maxCLevel()))
    }

    deinit {
        if unsafe !Self.idle.keep(context) { unsafe _ = ZSTD_freeCCtx(context) }
    }

    /// Appends `raw` as one frame with its content size and checksum. Returns the frame's length.
    func append(_ raw: Span<UInt8>, to output: inout [UInt8]) -> Int {
        let start = output.count
        let bound = ZSTD_compressBound(raw.count)
        output.append(contentsOf: repeatElement(0, count: bound))
        let length = unsafe output.withUnsafeMutableBytes { target in
            unsafe raw.withUnsafeBytes { source in
                unsafe ZSTD_compress2(
                    context, target.baseAddress! + start, bound, source.baseAddress, source.count)
            }
        }
        // With room for `compressBound` bytes, zstd documents no failure but lack of memory.
        precondition(ZSTD_isError(length) == 0, "zstd could not compress a block")
        output.removeLast(bound - length)
        return length
    }
}

/// Decompresses whole frames; one context, reused.
@safe final class Decompressor {
    private static let idle = IdleContexts()

    private let context: OpaquePointer

    init() {
        // As above: fails only without memory.
        guard let made = unsafe Self.idle.take() ?? ZSTD_createDCtx() else {
            fatalError("out of memory for zstd")
        }
        unsafe context = made
    }

    deinit {
        if unsafe !Self.idle.keep(context) { unsafe _ = ZSTD_freeDCtx(context) }
    }

    /// Replaces `output` by the content of one frame; false if the bytes are not one whole valid frame with
    /// content of exactly this length.
    func unpack(_ frame: Span<UInt8>, rawLength: Int, into output: inout [UInt8]) -> Bool {
        if output.count > rawLength {
            output.removeLast(output.count - rawLength)
        } else {
            output.append(contentsOf: repeatElement(0, count: rawLength - output.count))
        }
        let length = unsafe output.withUnsafeMutableBytes { target in
            unsafe frame.withUnsafeBytes { source in
                unsafe ZSTD_decompressDCtx(
                    context, target.baseAddress, target.count, source.baseAddress, source.count)
            }
        }
        return ZSTD_isError(length) == 0 && length == rawLength
    }
}
