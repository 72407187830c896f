#if canImport(CLevelDB)
    import CLevelDB

    /// LevelDB through its C interface.
    ///
    /// `@unchecked Sendable`: the pointers are set once, and LevelDB may be called from any thread.
    final class LevelDB: Peer, @unchecked Sendable {
        fileprivate let database: OpaquePointer
        private let options: OpaquePointer

        /// - Parameter memtable: its size in bytes; nil for LevelDB's default.
        init(_ directory: String, memtable: Int? = nil) throws {
            options = leveldb_options_create()
            leveldb_options_set_create_if_missing(options, 1)
            if let memtable { leveldb_options_set_write_buffer_size(options, memtable) }
            var message: UnsafeMutablePointer<CChar>?
            let opened = leveldb_open(options, directory, &message)
            if let message { throw PeerError("leveldb", taking: message) }
            guard let opened else { throw PeerError("leveldb", "did not open") }
            database = opened
        }

        func session(durable: Bool) -> any Session { LevelDBSession(self, durable: durable) }

        func close() {
            leveldb_close(database)
            leveldb_options_destroy(options)
        }
    }

    private final class LevelDBSession: Session {
        private let peer: LevelDB
        private let writing = leveldb_writeoptions_create()
        private let reading = leveldb_readoptions_create()

        init(_ peer: LevelDB, durable: Bool) {
            self.peer = peer
            leveldb_writeoptions_set_sync(writing, durable ? 1 : 0)
        }

        deinit {
            leveldb_writeoptions_destroy(writing)
            leveldb_readoptions_destroy(reading)
        }

        func put(_ key: Bytes, _ value: Bytes) throws {
            var message: UnsafeMutablePointer<CChar>?
            key.withMemoryRebound(to: CChar.self) { key in
                value.withMemoryRebound(to: CChar.self) { value in
                    leveldb_put(
                        peer.database, writing, key.baseAddress, key.count, value.baseAddress,
                        value.count, &message)
                }
            }
            if let message { throw PeerError("leveldb", taking: message) }
        }

        func get(_ key: Bytes) throws -> Int? {
            var message: UnsafeMutablePointer<CChar>?
            var length = 0
            let found = key.withMemoryRebound(to: CChar.self) {
                leveldb_get(
                    peer.database, reading, $0.baseAddress, $0.count, &length, &message)
            }
            if let message { throw PeerError("leveldb", taking: message) }
            guard let found else { return nil }
            leveldb_free(found)
            return length
        }
    }
#endif
