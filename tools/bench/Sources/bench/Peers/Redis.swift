#if canImport(CHiredis)
    import CHiredis
    import Foundation

    /// A Redis server that the bench starts on a unix socket, with an append-only file.
    ///
    /// `@unchecked Sendable`: the fields are set once.
    final class Redis: Peer, @unchecked Sendable {
        enum Sync: String {
            case everySecond = "everysec"
            case always
        }

        private let server = Process()
        private let socket: String
        private let pipeline: Int

        /// - Parameter pipeline: how many puts are sent before their answers are read.
        init(_ directory: String, _ sync: Sync, pipeline: Int = 1) throws {
            socket = directory + "/redis.sock"
            self.pipeline = pipeline
            server.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
            server.arguments = [
                "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "",
                "--appendonly", "yes", "--appendfsync", sync.rawValue,
                "--auto-aof-rewrite-percentage", "0",
            ]
            // A server that outlives a run that failed must not keep the bench's own output open.
            server.standardOutput = FileHandle.nullDevice
            server.standardError = FileHandle.nullDevice
            try server.run()
            let deadline = nanoseconds() + 60_000_000_000
            while !isReady {
                guard server.isRunning, nanoseconds() < deadline else {
                    throw PeerError("redis", "the server does not answer")
                }
                usleep(200)
            }
        }

        /// Whether the server answers, which it does once its file is loaded.
        private var isReady: Bool {
            guard let context = redisConnectUnix(socket) else { return false }
            defer { redisFree(context) }
            guard context.pointee.err == 0, let answer = ask(context, ["PING"]) else {
                return false
            }
            defer { freeReplyObject(answer) }
            return answer.pointee.type == REDIS_REPLY_STATUS
        }

        private func ask(
            _ context: UnsafeMutablePointer<redisContext>, _ words: [String]
        ) -> UnsafeMutablePointer<redisReply>? {
            var words: [UnsafePointer<CChar>?] = words.map { UnsafePointer(strdup($0)) }
            defer { for word in words { free(UnsafeMutablePointer(mutating: word)) } }
            return redisCommandArgv(context, Int32(words.count), &words, nil)?
                .assumingMemoryBound(to: redisReply.self)
        }

        func session(durable: Bool) throws -> any Session {
            try RedisSession(socket, pipeline: pipeline)
        }

        /// A connection for any commands. Up to `pipeline` of them are sent before their answers are read.
        func requests(pipeline: Int) throws -> RedisRequests {
            RedisRequests(try RedisSession(socket, pipeline: pipeline), pipeline)
        }

        func kill() {
            Foundation.kill(server.processIdentifier, SIGKILL)
            server.waitUntilExit()
        }

        /// Kills the server. A thread that blocks signals started it, so it would not get SIGTERM.
        func close() { kill() }
    }

    final class RedisRequests {
        private let session: RedisSession
        private let pipeline: Int

        fileprivate init(_ session: RedisSession, _ pipeline: Int) {
            self.session = session
            self.pipeline = pipeline
        }

        func send(_ words: [String]) throws {
            session.send(words)
            if session.pending >= pipeline { try session.finish() }
        }

        func finish() throws { try session.finish() }
    }

    private final class RedisSession: Session {
        private let context: UnsafeMutablePointer<redisContext>
        private let pipeline: Int
        fileprivate private(set) var pending = 0
        private let setCommand = strdup("SET")
        private let getCommand = strdup("GET")

        init(_ socket: String, pipeline: Int) throws {
            guard let context = redisConnectUnix(socket), context.pointee.err == 0 else {
                throw PeerError("redis", "no connection")
            }
            self.context = context
            self.pipeline = pipeline
        }

        deinit {
            redisFree(context)
            free(setCommand)
            free(getCommand)
        }

        func put(_ key: Bytes, _ value: Bytes) throws {
            send([setCommand.map { Bytes(start: UnsafePointer($0), count: 3) }, key, value])
            pending += 1
            if pending >= pipeline { try finish() }
        }

        func get(_ key: Bytes) throws -> Int? {
            send([getCommand.map { Bytes(start: UnsafePointer($0), count: 3) }, key])
            let answer = try receive()
            defer { freeReplyObject(answer) }
            return answer.pointee.type == REDIS_REPLY_NIL ? nil : answer.pointee.len
        }

        func finish() throws {
            while pending > 0 {
                pending -= 1
                freeReplyObject(try receive())
            }
        }

        fileprivate func send(_ words: [String]) {
            // One buffer for all words is enough, since the client copies them at once.
            let text = Array(words.joined().utf8)
            text.withUnsafeBufferPointer { all in
                var start = 0
                let parts = words.map { word -> Bytes? in
                    defer { start += word.utf8.count }
                    return all.baseAddress.map { Bytes(start: $0 + start, count: word.utf8.count) }
                }
                send(parts)
            }
            pending += 1
        }

        private func send(_ words: [Bytes?]) {
            withUnsafeTemporaryAllocation(
                of: UnsafePointer<CChar>?.self, capacity: words.count
            ) { starts in
                withUnsafeTemporaryAllocation(of: Int.self, capacity: words.count) { lengths in
                    for (index, word) in words.enumerated() {
                        starts[index] = word?.baseAddress.map { UnsafeRawPointer($0) }?
                            .assumingMemoryBound(to: CChar.self)
                        lengths[index] = word?.count ?? 0
                    }
                    redisAppendCommandArgv(
                        context, Int32(words.count), starts.baseAddress, lengths.baseAddress)
                }
            }
        }

        private func receive() throws -> UnsafeMutablePointer<redisReply> {
            var answer: UnsafeMutableRawPointer?
            guard redisGetReply(context, &answer) == REDIS_OK, let answer else {
                throw PeerError("redis", "no answer")
            }
            let reply = answer.assumingMemoryBound(to: redisReply.self)
            guard reply.pointee.type != REDIS_REPLY_ERROR else { throw PeerError("redis", "error") }
            return reply
        }
    }

    extension Bytes {
        fileprivate init(start: UnsafePointer<CChar>, count: Int) {
            self.init(
                start: UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self), count: count)
        }
    }
#endif
