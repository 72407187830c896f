import WriteBehind

extension Workload {
    /// P7: the bytes that a record takes in the log.
    static let logSize = sizes("P7", "bytes of log a record, half-compressible", .halfCompressible)
    static let logSizeJSON = sizes("P7j", "bytes of log a record, JSON-like", .json)

    private static func sizes(_ id: String, _ title: String, _ values: Dataset.Values) -> Workload {
        Workload(
            id: id, title: title, contenders: [.writebehind, .rocksdbZstd, .rocksdb],
            result: .figure("log bytes a record", "B")
        ) { contender, setting in
            let dataset = Dataset(count: setting.count, values: values)
            let peer = try contender.open(setting.directory, durable: false, keepsLog: true)
            var result = measurePuts(peer, dataset, dataset.order(hot: false), setting)
            let isStore = contender == .writebehind
            if isStore { try await peer.close() }
            let bytes = Usage.disk(setting.directory) {
                isStore ? $0.hasPrefix("store/log/") : $0.hasSuffix(".log")
            }
            if !isStore { try await peer.close() }
            result.more["log bytes a record"] = Double(bytes) / Double(result.operations)
            result.more["raw bytes a record"] = Double(dataset.byteCount) / Double(dataset.count)
            return result
        }
    }

    /// P8: the memory that a row takes beyond its key and value. Staging's pages belong to a file, and
    /// do not count.
    static let memory = Workload(
        id: "P8", title: "memory a resident row beyond its bytes",
        contenders: [.writebehind], result: .figure("bytes beyond the row", "B")
    ) { _, setting in
        let dataset = Dataset(count: setting.count)
        let order = dataset.order(hot: false)
        let peer = try StorePeer(setting.directory)
        let before = Usage.memory("RssAnon")
        var result = measurePuts(peer, dataset, order, setting)
        let taken = Usage.memory("RssAnon") - before
        try await peer.close()
        result.more["bytes beyond the row"] =
            Double(taken - dataset.byteCount) / Double(dataset.count)
        return result
    }
}
