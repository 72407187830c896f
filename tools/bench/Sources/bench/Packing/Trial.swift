import CBase
import Foundation

/// One way to pack the blocks of a log, and its cost: seconds of this thread on a processor.
final class Trial {
    struct Seconds {
        /// Dividing into streams, which is a part of packing.
        var splitting = 0.0
        var packing = 0.0
        /// Down to the payload's bytes, unparsed.
        var unpacking = 0.0
    }

    /// A block's header, and the entries of its two frames in the seek table.
    static let blockOverhead = 80 + 16

    let name: String
    let blocks: [LogCommits.Block]
    private(set) var bytes = 0
    /// nil for rows, as in the log's format.
    private let transposition: Transposition?
    private let compressor = ZSTD_createCCtx()
    private let decompressor = ZSTD_createDCtx()
    /// Buffers for packed, unpacked and joined bytes.
    private let buffers: [UnsafeMutablePointer<UInt8>]
    private let size: Int
    private var seconds: [Seconds] = []

    init(
        _ name: String, _ blocks: [LogCommits.Block], level: Int, _ transposition: Transposition?
    ) {
        self.name = name
        self.blocks = blocks
        self.transposition = transposition
        let size = ZSTD_compressBound(blocks.map(\.payload.count).max()! * 2)
        self.size = size
        buffers = (0..<3).map { _ in .allocate(capacity: size) }
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1)
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, Int32(level))
    }

    deinit {
        ZSTD_freeCCtx(compressor)
        ZSTD_freeDCtx(decompressor)
        for buffer in buffers { buffer.deallocate() }
    }

    /// Megabytes of payload a second, by the median.
    func rate(_ part: (Seconds) -> Double) -> Double {
        Double(blocks.raw) / 1e6 / seconds.map(part).sorted()[seconds.count / 2]
    }

    /// Packs and unpacks all blocks once.
    func run() throws {
        var sum = Seconds()
        bytes = 0
        for block in blocks {
            try block.payload.withUnsafeBufferPointer { payload in
                let start = processorSeconds()
                transposition?.split(payload)
                let middle = processorSeconds()
                let length = pack(payload)
                let packed = processorSeconds()
                let result = unpack(length, records: block.records)
                sum.unpacking += processorSeconds() - packed
                sum.packing += packed - start
                sum.splitting += middle - start
                bytes += length + Self.blockOverhead
                guard result.elementsEqual(payload) else {
                    throw PeerError("packing", "\(name) did not give back the rows")
                }
            }
        }
        seconds.append(sum)
    }

    private func pack(_ payload: Bytes) -> Int {
        transposition?.streams.pack(compressor, into: buffers[0], size)
            ?? ZSTD_compress2(compressor, buffers[0], size, payload.baseAddress, payload.count)
    }

    private func unpack(_ packed: Int, records: Int) -> Bytes {
        let length = ZSTD_decompressDCtx(decompressor, buffers[1], size, buffers[0], packed)
        guard ZSTD_isError(length) == 0 else { return Bytes(start: nil, count: 0) }
        let bytes = Bytes(start: buffers[1], count: length)
        guard let transposition else { return bytes }
        let count = transposition.join(bytes, records: records, into: buffers[2])
        return Bytes(start: buffers[2], count: count)
    }
}

/// The processor time of this thread. Other processes do not count.
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
