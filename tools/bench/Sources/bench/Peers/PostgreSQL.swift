#if canImport(CLibPQ)
    import CLibPQ
    import Foundation

    /// A PostgreSQL server that the bench starts on a Unix socket. A committed transaction survives power loss, as by
    /// default, unless its session says otherwise.
    ///
    /// The server refuses to run as root, so it then runs as the user that Debian's package makes. A shell starts it and
    /// waits for the end of a pipe: when the bench's process ends, however it does, the server ends.
    final class PostgreSQLServer {
        /// The directory of the newest installed version's programs.
        static var programs: String? {
            let root = "/usr/lib/postgresql"
            let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
            return versions.compactMap(Int.init).max().map { "\(root)/\($0)/bin" }
        }

        let url: String
        private let shell = Process()
        private let pipe = Pipe()

        /// - Parameter directory: every user must be able to come to it.
        init(_ directory: String) throws {
            guard let programs = Self.programs else {
                throw PeerError("postgresql", "is not installed")
            }
            let own = directory + "/postgresql"
            url = "postgresql://postgres@\(own.replacing("/", with: "%2F"))/postgres"
            let isRoot = getuid() == 0
            let asUser =
                isRoot
                ? "setpriv --reuid=postgres --regid=postgres --init-groups \(programs)" : programs
            shell.executableURL = URL(fileURLWithPath: "/bin/sh")
            shell.arguments = [
                "-c",
                """
                mkdir -p \(own) && \(isRoot ? "chown postgres \(own) && " : "")cd \(own) || exit 1
                \(asUser)/initdb -D data -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync >log 2>&1 || exit 1
                \(asUser)/postgres -D data -c listen_addresses= -c unix_socket_directories=\(own) \
                -c shared_buffers=1GB -c max_wal_size=8GB -c checkpoint_timeout=1h >>log 2>&1 &
                cat >/dev/null
                kill -QUIT $!; wait
                """,
            ]
            shell.standardInput = pipe
            // A server that outlives a run that failed must not keep the bench's own output open.
            shell.standardOutput = FileHandle.nullDevice
            shell.standardError = FileHandle.nullDevice
            try shell.run()
            let deadline = nanoseconds() + 60_000_000_000
            while (try? PostgreSQL(url)) == nil {
                guard shell.isRunning, nanoseconds() < deadline else {
                    throw PeerError("postgresql", "the server does not answer: see \(own)/log")
                }
                usleep(10_000)
            }
        }

        func stop() {
            try? pipe.fileHandleForWriting.close()
            shell.waitUntilExit()
        }
    }

    /// A session of a PostgreSQL server. Used by one thread.
    final class PostgreSQL {
        private let connection: OpaquePointer?

        init(_ url: String) throws {
            connection = PQconnectdb(url)
            guard PQstatus(connection) == CONNECTION_OK else { throw failed }
        }

        deinit { PQfinish(connection) }

        private var failed: PeerError {
            PeerError("postgresql", String(cString: PQerrorMessage(connection)))
        }

        func execute(_ sql: String) throws { PQclear(try checked(PQexec(connection, sql))) }

        /// The first column of the first row; nil if there is no row.
        func integer(_ sql: String) throws -> Int? {
            let result = try checked(PQexec(connection, sql))
            defer { PQclear(result) }
            return PQntuples(result) == 0 ? nil : Int(String(cString: PQgetvalue(result, 0, 0)))
        }

        func prepare(_ name: String, _ sql: String) throws {
            PQclear(try checked(PQprepare(connection, name, sql, 0, nil)))
        }

        func execute(prepared name: String, _ parameters: [BinaryArray]) throws {
            let values = parameters.map { $0.finished }
            let starts: [UnsafePointer<CChar>?] = values.map {
                UnsafeRawPointer($0.baseAddress)?.assumingMemoryBound(to: CChar.self)
            }
            let result = PQexecPrepared(
                connection, name, Int32(values.count), starts, values.map { Int32($0.count) },
                values.map { _ in 1 }, 1)
            PQclear(try checked(result))
        }

        private func checked(_ result: OpaquePointer?) throws -> OpaquePointer? {
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return result
            default:
                PQclear(result)
                throw failed
            }
        }
    }

    /// An array without nulls, in the server's binary form, of a fixed capacity.
    final class BinaryArray {
        private static let headerLength = 20
        private let start: UnsafeMutableRawPointer
        private let element: Int32
        private var length = headerLength
        private var count = 0

        /// - Parameters:
        ///   - element: the server's number for the type of the elements.
        ///   - capacity: the bytes of the elements, with four for each.
        init(_ element: Int32, capacity: Int) {
            self.element = element
            start = .allocate(byteCount: Self.headerLength + capacity, alignment: 16)
        }

        deinit { start.deallocate() }

        func removeAll() { (length, count) = (Self.headerLength, 0) }

        func append(_ bytes: Bytes) {
            write(Int32(bytes.count), at: length)
            if let base = bytes.baseAddress {
                (start + length + 4).copyMemory(from: base, byteCount: bytes.count)
            }
            length += 4 + bytes.count
            count += 1
        }

        func append(_ number: Int) {
            write(8 as Int32, at: length)
            write(Int64(number), at: length + 4)
            length += 12
            count += 1
        }

        /// Dimensions, whether there are nulls, the type, the number of elements, the first index; then the elements.
        var finished: UnsafeBufferPointer<UInt8> {
            for (place, number) in [1, 0, element, Int32(count), 1].enumerated() {
                write(number, at: place * 4)
            }
            return Bytes(start: start.assumingMemoryBound(to: UInt8.self), count: length)
        }

        private func write<T: FixedWidthInteger & BitwiseCopyable>(_ number: T, at offset: Int) {
            start.storeBytes(of: number.bigEndian, toByteOffset: offset, as: T.self)
        }
    }
#endif
