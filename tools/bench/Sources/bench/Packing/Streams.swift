import CBase

/// The streams into which a payload is divided. The number of a stream is its slot.
///
/// They make one frame that plain zstd can read: `varint(streams) (varint(slot) varint(length))*`, and a zstd
/// block for each, so that each has statistics of its own.
final class Streams {
    enum Slot {
        static let commits = 0
        static let heads = 1
        static let bodies = 2
        /// The first of a table's slots. Table 0 has no rows and needs no slots.
        static func table(_ table: Int) -> Int { table * 64 }
        static let keys = 3
        static let shared = 4
        static let suffixLengths = 5
        static let counts = 6
        static let patched = 7
        /// The first of a column's three slots: tags, numbers, and bytes.
        static func column(_ column: Int) -> Int { 8 + column * 3 }
    }

    static let tables = 8
    static let columns = 18
    static let limit = Slot.table(tables)
    /// Streams shorter than this do not get a zstd block of their own.
    private static let shortest = 1000

    private let cursors: UnsafeMutablePointer<Cursor>
    private let memory: UnsafeMutablePointer<UInt8>
    private let stride: Int

    init(payloadLimit: Int) {
        // Not a power of two, because then streams would compete for the same cache lines.
        stride = payloadLimit * 2 + 13 * 64
        memory = .allocate(capacity: stride * Self.limit)
        cursors = .allocate(capacity: Self.limit)
    }

    deinit {
        memory.deallocate()
        cursors.deallocate()
    }

    @inline(__always)
    subscript(slot: Int) -> Cursor {
        _read { yield cursors[slot] }
        _modify { yield &cursors[slot] }
    }

    func removeAll() {
        for slot in 0..<Self.limit { cursors[slot] = Cursor(memory + slot * stride) }
    }

    /// Packs what was written to the streams. Returns the frame's length.
    func pack(_ context: OpaquePointer?, into output: UnsafeMutablePointer<UInt8>, _ size: Int)
        -> Int
    {
        let lengths = (0..<Self.limit).map { cursors[$0].at - (memory + $0 * stride) }
        let used = lengths.indices.filter { lengths[$0] > 0 }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 8192) { head in
            var cursor = Cursor(head.baseAddress!)
            cursor.append(varint: used.count)
            for slot in used {
                cursor.append(varint: slot)
                cursor.append(varint: lengths[slot])
            }
            let length = cursor.at - head.baseAddress!
            ZSTD_CCtx_setPledgedSrcSize(context, UInt64(length + lengths.reduce(0, +)))
            var target = ZSTD_outBuffer(dst: output, size: size, pos: 0)
            func add(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ end: ZSTD_EndDirective) {
                var source = ZSTD_inBuffer(src: bytes, size: count, pos: 0)
                ZSTD_compressStream2(context, &target, &source, end)
            }
            add(head.baseAddress!, length, ZSTD_e_continue)
            for slot in used {
                let end = lengths[slot] < Self.shortest ? ZSTD_e_continue : ZSTD_e_flush
                add(memory + slot * stride, lengths[slot], slot == used.last ? ZSTD_e_end : end)
            }
            return target.pos
        }
    }

    /// Finds the streams in what ``pack(_:into:_:)`` packed, once it is unpacked.
    func find(in bytes: Bytes) {
        var head = Cursor(bytes)
        let parts = (0..<head.varint()).map { _ in (slot: head.varint(), length: head.varint()) }
        for part in parts {
            cursors[part.slot] = head
            head.at += part.length
        }
    }
}
