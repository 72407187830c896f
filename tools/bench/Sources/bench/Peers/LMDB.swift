#if canImport(CLMDB)
    import CLMDB

    /// LMDB with a writable map, and one transaction for each put.
    ///
    /// `@unchecked Sendable`: the fields are set once; LMDB itself allows one writer at a time.
    final class LMDB: Peer, @unchecked Sendable {
        fileprivate let environment: OpaquePointer
        fileprivate let database: MDB_dbi

        /// - Parameter durable: whether a commit syncs.
        init(_ directory: String, durable: Bool) throws {
            var environment: OpaquePointer?
            try check(mdb_env_create(&environment))
            guard let environment else { throw PeerError("lmdb", "no environment") }
            self.environment = environment
            try check(mdb_env_set_mapsize(environment, 8 << 30))
            try check(mdb_env_set_maxreaders(environment, 128))
            let flags =
                UInt32(MDB_WRITEMAP) | UInt32(MDB_NOTLS) | (durable ? 0 : UInt32(MDB_NOSYNC))
            try check(mdb_env_open(environment, directory, flags, 0o600))
            var transaction: OpaquePointer?
            try check(mdb_txn_begin(environment, nil, 0, &transaction))
            var database: MDB_dbi = 0
            try check(mdb_dbi_open(transaction, nil, 0, &database))
            try check(mdb_txn_commit(transaction))
            self.database = database
        }

        func session(durable: Bool) -> any Session { LMDBSession(self) }

        func close() { mdb_env_close(environment) }
    }

    private func check(_ result: Int32) throws {
        if result != 0 { throw PeerError("lmdb", String(cString: mdb_strerror(result))) }
    }

    private final class LMDBSession: Session {
        private let peer: LMDB
        /// A read transaction that is renewed for each read, as LMDB recommends.
        private var reading: OpaquePointer?

        init(_ peer: LMDB) { self.peer = peer }

        deinit {
            if let reading { mdb_txn_abort(reading) }
        }

        func put(_ key: Bytes, _ value: Bytes) throws {
            var transaction: OpaquePointer?
            try check(mdb_txn_begin(peer.environment, nil, 0, &transaction))
            var name = MDB_val(key)
            var content = MDB_val(value)
            try check(mdb_put(transaction, peer.database, &name, &content, 0))
            try check(mdb_txn_commit(transaction))
        }

        func get(_ key: Bytes) throws -> Int? {
            if reading == nil {
                try check(mdb_txn_begin(peer.environment, nil, UInt32(MDB_RDONLY), &reading))
            } else {
                try check(mdb_txn_renew(reading))
            }
            defer { mdb_txn_reset(reading) }
            var name = MDB_val(key)
            var found = MDB_val()
            let result = mdb_get(reading, peer.database, &name, &found)
            if result == MDB_NOTFOUND { return nil }
            try check(result)
            return found.mv_size
        }
    }

    extension MDB_val {
        fileprivate init(_ bytes: Bytes) {
            self.init(
                mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        }
    }
#endif
