#if canImport(CRocksDB)
    import CRocksDB

    /// RocksDB through its C interface.
    ///
    /// `@unchecked Sendable`: the pointers are set once, and RocksDB may be called from any thread.
    final class RocksDB: Peer, @unchecked Sendable {
        struct Options {
            /// Bytes; nil for RocksDB's default.
            var memtable: Int?
            var packsLog = false
        }

        fileprivate let database: OpaquePointer
        private let options: OpaquePointer

        init(_ directory: String, _ wanted: Options = Options()) throws {
            options = rocksdb_options_create()
            rocksdb_options_set_create_if_missing(options, 1)
            if let memtable = wanted.memtable {
                rocksdb_options_set_write_buffer_size(options, memtable)
            }
            if wanted.packsLog {
                rocksdb_options_set_wal_compression(options, Int32(rocksdb_zstd_compression))
            }
            var message: UnsafeMutablePointer<CChar>?
            let opened = rocksdb_open(options, directory, &message)
            if let message { throw PeerError("rocksdb", taking: message) }
            guard let opened else { throw PeerError("rocksdb", "did not open") }
            database = opened
        }

        func session(durable: Bool) -> any Session { RocksDBSession(self, durable: durable) }

        func close() {
            rocksdb_close(database)
            rocksdb_options_destroy(options)
        }
    }

    private final class RocksDBSession: Session {
        private let peer: RocksDB
        private let writing = rocksdb_writeoptions_create()
        private let reading = rocksdb_readoptions_create()

        init(_ peer: RocksDB, durable: Bool) {
            self.peer = peer
            rocksdb_writeoptions_set_sync(writing, durable ? 1 : 0)
        }

        deinit {
            rocksdb_writeoptions_destroy(writing)
            rocksdb_readoptions_destroy(reading)
        }

        func put(_ key: Bytes, _ value: Bytes) throws {
            var message: UnsafeMutablePointer<CChar>?
            key.withMemoryRebound(to: CChar.self) { key in
                value.withMemoryRebound(to: CChar.self) { value in
                    rocksdb_put(
                        peer.database, writing, key.baseAddress, key.count, value.baseAddress,
                        value.count, &message)
                }
            }
            if let message { throw PeerError("rocksdb", taking: message) }
        }

        func get(_ key: Bytes) throws -> Int? {
            var message: UnsafeMutablePointer<CChar>?
            // Pinned: the value is not copied.
            let found = key.withMemoryRebound(to: CChar.self) {
                rocksdb_get_pinned(peer.database, reading, $0.baseAddress, $0.count, &message)
            }
            if let message { throw PeerError("rocksdb", taking: message) }
            guard let found else { return nil }
            defer { rocksdb_pinnableslice_destroy(found) }
            var length = 0
            _ = rocksdb_pinnableslice_value(found, &length)
            return length
        }
    }
#endif
