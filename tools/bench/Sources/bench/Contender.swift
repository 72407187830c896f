import Foundation

/// A participant in a workload: the store, a peer, or a bare loop as the lower bound.
enum Contender: String, Codable, CaseIterable {
    case writebehind
    case writebehindLive = "writebehind+sql"
    case writebehindPostgreSQL = "writebehind+pg"
    case rocksdb
    case rocksdbZstd = "rocksdb, zstd log"
    case leveldb
    case lmdb
    case sqlite
    case redis
    case redisPipeline = "redis, pipeline 32"
    case staging = "limit: staging append"
    case zstd = "limit: zstd -1"
    case map = "limit: bare map"
    case upserts = "limit: bare upserts"
    case unnests = "limit: bare libpq"
    case append = "limit: append+sync"
    case overwrite = "limit: overwrite+sync"
    case writeThrough = "write-through"
    case cacheAside = "cache-aside"
    case put = "put instead"

    var isLimit: Bool { rawValue.hasPrefix("limit") }

    /// The failure that a put survives once it has returned, if the caller waits for nothing more.
    var survivesUnsynced: String {
        switch self {
        case .zstd, .map, .upserts, .unnests: "-"
        default: "kill -9"
        }
    }

    /// Whether it was installed when the bench was built.
    var isInstalled: Bool {
        switch self {
        #if !canImport(CRocksDB)
            case .rocksdb, .rocksdbZstd: false
        #endif
        #if !canImport(CLevelDB)
            case .leveldb: false
        #endif
        #if !canImport(CLMDB)
            case .lmdb: false
        #endif
        case .redis, .redisPipeline: Self.hasRedis
        case .writebehindPostgreSQL, .unnests: Self.hasPostgreSQL
        default: true
        }
    }

    private static var hasRedis: Bool {
        #if canImport(CHiredis)
            FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server")
        #else
            false
        #endif
    }

    private static var hasPostgreSQL: Bool {
        #if canImport(CLibPQ)
            PostgreSQLServer.programs != nil
        #else
            false
        #endif
    }

    /// Opens the contender in a directory of its own.
    ///
    /// - Parameters:
    ///   - keys: how many keys a store is to have room for.
    ///   - keepsLog: whether no memtable is written to a file before the end, so that all records are in the log.
    func open(
        _ directory: String, durable: Bool, keys: Int = 0, keepsLog: Bool = false
    ) throws -> any Peer {
        switch self {
        case .writebehind: return try StorePeer(directory, keys: keys)
        case .writebehindLive: return try StorePeer(directory, materializes: true, keys: keys)
        #if canImport(CRocksDB)
            case .rocksdb, .rocksdbZstd:
                return try RocksDB(
                    directory,
                    RocksDB.Options(
                        memtable: keepsLog ? 4 << 30 : nil, packsLog: self == .rocksdbZstd))
        #endif
        #if canImport(CLevelDB)
            case .leveldb where keepsLog: return try LevelDB(directory, memtable: 1 << 30)
            case .leveldb: return try LevelDB(directory)
        #endif
        #if canImport(CLMDB)
            case .lmdb: return try LMDB(directory, durable: durable)
        #endif
        case .sqlite: return try SQLite(directory, durable ? .full : .normal)
        #if canImport(CHiredis)
            case .redis: return try Redis(directory, durable ? .always : .everySecond)
            case .redisPipeline: return try Redis(directory, .everySecond, pipeline: 32)
        #endif
        case .staging: return try StagingLimit(directory)
        case .zstd: return ZstdLimit()
        case .map: return BareMap(keys: keys)
        case .append: return try SyncLimit(directory, overwrites: false)
        case .overwrite: return try SyncLimit(directory, overwrites: true)
        default: throw PeerError(rawValue, "is not installed, or no key-value store")
        }
    }
}
