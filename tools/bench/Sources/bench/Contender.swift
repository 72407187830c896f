/// Who runs a workload: the store, a peer, or a bare loop that nothing could beat.
enum Contender: String, Codable, CaseIterable {
    case writebehind
    case writebehindLive = "writebehind+sql"
    case rocksdb
    case rocksdbZstd = "rocksdb, zstd log"
    case leveldb
    case lmdb
    case sqlite
    case redis
    case redisPipeline = "redis, pipeline 32"
    case staging = "limit: staging append"
    case zstd = "limit: zstd -1"
    case upserts = "limit: bare upserts"
    case append = "limit: append+fdatasync"
    case overwrite = "limit: overwrite+fdatasync"

    var isLimit: Bool { rawValue.hasPrefix("limit") }

    /// What survives once a put that is not waited for has returned.
    var survivesUnsynced: String {
        switch self {
        case .zstd, .upserts: "-"
        default: "kill -9"
        }
    }

    /// Opens it in a directory of its own.
    func open(_ directory: String, durable: Bool) throws -> any Peer {
        switch self {
        case .writebehind: try StorePeer(directory)
        case .writebehindLive: try StorePeer(directory, materializes: true)
        case .rocksdb: try RocksDB(directory)
        case .rocksdbZstd: try RocksDB(directory, RocksDB.Options(packsLog: true))
        case .leveldb: try LevelDB(directory)
        case .lmdb: try LMDB(directory, durable: durable)
        case .sqlite: try SQLite(directory, durable ? .full : .normal)
        case .redis: try Redis(directory, durable ? .always : .everySecond)
        case .redisPipeline: try Redis(directory, .everySecond, pipeline: 32)
        case .staging: try StagingLimit(directory)
        case .zstd: ZstdLimit()
        case .append: try SyncLimit(directory, overwrites: false)
        case .overwrite: try SyncLimit(directory, overwrites: true)
        case .upserts: throw PeerError(rawValue, "is no key-value store")
        }
    }
}
