#if canImport(CLibPQ)
    import Foundation
    import GRDB
    import WriteBehind
    import WriteBehindPostgreSQL

    /// A row that only counts.
    @Table private struct Counter {
        var id: Int
        var likes = 0
    }

    extension Workload {
        // P18: a store whose database is in PostgreSQL. The server belongs to the run.
        static let postgreSQL: [Workload] = [
            backlogIntoPostgreSQL, addsIntoPostgreSQL, freshness, putBesidePostgreSQL,
        ]

        /// P18w: the writer's speed while PostgreSQL follows.
        private static let putBesidePostgreSQL = Workload(
            id: "P18w", title: "put, distinct keys, while PostgreSQL or SQLite follows",
            contenders: [.writebehindPostgreSQL, .writebehindLive]
        ) { contender, setting in
            let dataset = Dataset(count: setting.count)
            let order = dataset.order(hot: false)
            guard contender == .writebehindPostgreSQL else {
                let peer = try contender.open(
                    setting.directory, durable: false, keys: setting.count)
                let result = measurePuts(peer, dataset, order, setting)
                try await peer.close()
                return result
            }
            let server = try PostgreSQLServer(setting.directory)
            defer { server.stop() }
            let peer = try await StorePeer(
                setting.directory, .postgreSQL(server.url), materializes: true, keys: setting.count)
            let result = measurePuts(peer, dataset, order, setting)
            try await peer.close()
            return result
        }

        /// P18b: as P5, with PostgreSQL.
        private static let backlogIntoPostgreSQL = Workload(
            id: "P18b", title: "backlog into PostgreSQL, distinct keys",
            contenders: [.writebehindPostgreSQL, .unnests], survives: "-"
        ) { contender, setting in
            let server = try PostgreSQLServer(setting.directory)
            defer { server.stop() }
            let dataset = Dataset(count: setting.count)
            let order = dataset.order(hot: false)
            if contender == .unnests { return try upsert(dataset, order, server) }
            return try await drain(dataset, order) {
                try await StorePeer(
                    setting.directory, .postgreSQL(server.url), materializes: $0)
            }
        }

        /// The store's own statement with its own arrays, over sorted rows; one transaction for each 200,000 of them.
        private static func upsert(
            _ dataset: Dataset, _ order: [Int32], _ server: PostgreSQLServer
        ) throws -> Measurement {
            let session = try PostgreSQL(server.url)
            try session.execute(
                """
                SET synchronous_commit = off;
                CREATE TABLE keyvalue (key text COLLATE "C" NOT NULL PRIMARY KEY, value bytea NOT NULL)
                WITH (fillfactor = 80)
                """)
            try session.prepare(
                "put",
                """
                INSERT INTO keyvalue (key, value) SELECT u.c0, u.c1
                FROM unnest($1::text[], $2::bytea[]) AS u(c0, c1)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value
                """)
            let batches = sortedBatches(dataset, order)
            let keys = BinaryArray(25, capacity: rowsAStatement * 32)
            let values = BinaryArray(17, capacity: rowsAStatement * 160)
            let clock = Stopwatch()
            for batch in batches {
                try session.execute("BEGIN")
                for start in stride(from: 0, to: batch.count, by: rowsAStatement) {
                    keys.removeAll()
                    values.removeAll()
                    for row in batch[start..<min(batch.count, start + rowsAStatement)] {
                        keys.append(dataset.key(Int(row.key)))
                        values.append(dataset.value(row.value))
                    }
                    try session.execute(prepared: "put", [keys, values])
                }
                try session.execute("COMMIT")
            }
            return clock.stop(operations: order.count)
        }

        private static let rowsAStatement = 10_000

        /// P18a: adds to hot rows, until the database has all of them.
        private static let addsIntoPostgreSQL = Workload(
            id: "P18a", title: "adds, hot keys, until PostgreSQL has all; below, without a store",
            contenders: [.writebehindPostgreSQL, .unnests], survives: "-"
        ) { contender, setting in
            let server = try PostgreSQLServer(setting.directory)
            defer { server.stop() }
            let keys = min(Dataset.hotKeys, setting.count)
            let order = Zipf(keys: keys).draw(setting.count)
            let store = try await Store(
                at: setting.directory + "/store", database: .postgreSQL(server.url),
                configuration: StorePeer.configuration(true))
            let counters = try store.table(Counter.self)
            for id in 0..<keys { try counters.put(Counter(id: id)) }
            try await store.waitForAll(.materialized)
            var result: Measurement
            if contender == .unnests {
                result = try add(order, server)
            } else {
                let clock = Stopwatch()
                for id in order { try counters.add(1, to: \.likes, of: Int(id)) }
                let added = nanoseconds()
                let behind = store.health.lag.staged - (store.health.lag.materialized)
                try await store.waitForAll(.materialized)
                let waited = Double(nanoseconds() - added) / 1e6
                result = clock.stop(operations: order.count)
                result.more = [
                    "records behind after the last add": Double(behind), "ms to catch up": waited,
                ]
            }
            let sum = try PostgreSQL(server.url).integer("SELECT sum(likes) FROM counter")
            guard sum == order.count else {
                throw PeerError("postgresql", "\(sum ?? 0) adds instead of \(order.count)")
            }
            try await store.close()
            return result
        }

        /// What one writes without a store: sums in a dictionary, which a crash loses, and a transaction for each 200,000 adds.
        private static func add(
            _ order: [Int32], _ server: PostgreSQLServer
        ) throws -> Measurement {
            let session = try PostgreSQL(server.url)
            try session.execute("SET synchronous_commit = off")
            try session.prepare(
                "add",
                """
                UPDATE counter AS t SET likes = t.likes + u.c1
                FROM unnest($1::bigint[], $2::bigint[]) AS u(c0, c1) WHERE t.id = u.c0
                """)
            let ids = BinaryArray(20, capacity: rowsAStatement * 12)
            let amounts = BinaryArray(20, capacity: rowsAStatement * 12)
            let clock = Stopwatch()
            for start in stride(from: 0, to: order.count, by: 200_000) {
                var sums: [Int32: Int] = [:]
                for id in order[start..<min(order.count, start + 200_000)] {
                    sums[id, default: 0] += 1
                }
                ids.removeAll()
                amounts.removeAll()
                for id in sums.keys.sorted() {
                    ids.append(Int(id))
                    amounts.append(sums[id] ?? 0)
                }
                try session.execute(prepared: "add", [ids, amounts])
            }
            return clock.stop(operations: order.count)
        }

        /// P18f: the time from an add until another session of the database sees it, if the database is caught up.
        private static let freshness = Workload(
            id: "P18f", title: "from add to visible in another session, caught up",
            contenders: [.writebehindPostgreSQL, .writebehindLive], survives: "-",
            result: .figure("median", "ms")
        ) { contender, setting in
            let path = setting.directory + "/store"
            let configuration = StorePeer.configuration(true)
            let sql = "SELECT sum(likes) FROM counter"
            guard contender == .writebehindPostgreSQL else {
                let store = try await Store(at: path, configuration: configuration)
                return try await measureFreshness(store, setting) {
                    let queue = try DatabaseQueue(path: path + "/database.sqlite")
                    return { try queue.read { try Int.fetchOne($0, sql: sql) } }
                }
            }
            let server = try PostgreSQLServer(setting.directory)
            defer { server.stop() }
            let store = try await Store(
                at: path, database: .postgreSQL(server.url), configuration: configuration)
            return try await measureFreshness(store, setting) {
                let session = try PostgreSQL(server.url)
                return { try session.integer(sql) }
            }
        }

        /// - Parameter observe: makes a session; what it returns reads the sum of all counters.
        private static func measureFreshness(
            _ store: Store, _ setting: Setting, observe: () throws -> () throws -> Int?
        ) async throws -> Measurement {
            let counters = try store.table(Counter.self)
            for id in 0..<100 { try counters.put(Counter(id: id)) }
            try await store.waitForAll(.materialized)
            let sum = try observe()
            var random = SplitMix(state: 8)
            var latencies = Latencies()
            let clock = Stopwatch()
            for number in 0..<min(200, max(10, setting.count / 5000)) {
                // At any moment between two batches.
                usleep(UInt32(random.next() % 200_000))
                let start = nanoseconds()
                try counters.add(1, to: \.likes, of: number % 100)
                while try sum() != number + 1 { usleep(200) }
                latencies.note(nanoseconds() - start)
            }
            var result = clock.stop(operations: latencies.all.count, latencies: latencies.all)
            result.more["median"] = result.p50.map { $0 / 1e6 }
            try await store.close()
            return result
        }
    }
#else
    extension Workload {
        static let postgreSQL: [Workload] = []
    }
#endif
