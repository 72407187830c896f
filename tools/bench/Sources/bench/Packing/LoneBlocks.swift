import CBase

/// Blocks of few commits each, packed with a dictionary made of the blocks before them.
struct LoneBlocks {
    let blocks: [LogCommits.Block]
    private let before: [LogCommits.Block]

    /// - Parameter trainingBytes: how many of the log's first bytes the dictionaries are made from.
    init(_ log: LogCommits, commits: Int, trainingBytes: Int = 128 << 10) {
        let all = log.blocks(ofCommits: commits)
        var count = 0
        var rest = trainingBytes
        while count < all.count / 2, rest > 0 {
            rest -= all[count].payload.count
            count += 1
        }
        before = Array(all[..<count])
        blocks = Array(all[count...].prefix(20_000))
    }

    func trainedDictionary(_ size: Int) -> [UInt8] {
        var dictionary = [UInt8](repeating: 0, count: size)
        let length = ZDICT_trainFromBuffer(
            &dictionary, size, before.flatMap(\.payload), before.map(\.payload.count),
            UInt32(before.count))
        return ZDICT_isError(length) == 0 ? Array(dictionary[..<length]) : []
    }

    /// A dictionary of the bytes before the blocks, without training.
    func plainDictionary(_ size: Int) -> [UInt8] { before.flatMap(\.payload).suffix(size) }

    /// Packs all blocks. Returns their bytes, headers included, and the seconds that packing took.
    func pack(_ dictionary: [UInt8]?) -> (bytes: Int, seconds: Double) {
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1)
        let prepared = dictionary.map { ZSTD_createCDict($0, $0.count, 1) }
        defer { if let prepared { ZSTD_freeCDict(prepared) } }
        if let prepared { ZSTD_CCtx_refCDict(context, prepared) }
        let size = ZSTD_compressBound(blocks.map(\.payload.count).max()!)
        var output = [UInt8](repeating: 0, count: size)
        var bytes = 0
        let start = processorSeconds()
        for block in blocks {
            bytes += Trial.blockOverhead
            bytes += ZSTD_compress2(
                context, &output, size, block.payload, block.payload.count)
        }
        return (bytes, processorSeconds() - start)
    }
}
