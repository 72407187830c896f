import CPostgreSQL
import EventLog
import Foundation
import Synchronization

/// A server of the tests' own, in a directory of its own, that listens on a Unix socket alone.
///
/// The server refuses to run as root, so it runs as the user that Debian's package makes. A shell starts it and waits for
/// the tests' process: when that ends, however it does, the server ends and its directory goes.
package final class TestServer: Sendable {
    package static let shared: TestServer = {
        do {
            return try TestServer()
        } catch {
            // All tests of the module need it, and a static property cannot throw.
            fatalError("no PostgreSQL server for the tests (tools/setup installs it): \(error)")
        }
    }()

    package struct Failed: Error, CustomStringConvertible {
        package var description: String

        package init(description: String) { self.description = description }
    }

    /// What a server of one test's own has that the shared one has not.
    package struct Setup {
        /// The server that it is a replica of. It follows as fast as it can, and the other one waits for nothing.
        package var primary: TestServer?
        /// The size of a disk of its own, MiB. Only the server sees it, and root.
        package var diskSize: Int?
        /// Further words for `initdb`. In them, `$disk` is the directory of the disk.
        package var words = ""
        /// Further settings.
        package var settings: [String] = []

        package init() {}
    }

    package let directory: String
    private let process = Process()
    private let keeper: Lock<FileHandle>
    private let count = Lock(0)
    /// How many servers were made: each has a directory of its own.
    private static let made = Atomic(0)

    private convenience init() throws { try self.init(Setup()) }

    package init(_ setup: Setup) throws {
        let number = Self.made.add(1, ordering: .relaxed).newValue
        let directory =
            FileManager.default.temporaryDirectory.path + "/wb-pg-\(getpid())-\(number)"
        self.directory = directory
        let bin = try Self.programs()
        let asUser = getuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --init-groups" : ""
        let makeData =
            if let primary = setup.primary {
                "pg_basebackup -h \(primary.socket) -U postgres -D \(directory)/data -R -c fast"
            } else {
                "initdb -D \(directory)/data -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync \(setup.words)"
            }
        let (mount, unmount) =
            if let size = setup.diskSize {
                ("mount -t tmpfs -o size=\(size)m tmpfs $disk", "umount $disk")
            } else { (":", ":") }
        let script = """
            disk=\(directory)/disk
            mkdir -p \(directory)/s $disk && chmod 755 \(directory) || exit 1
            \(mount) || exit 1
            \(getuid() == 0 ? "chown -R postgres \(directory)" : ":")
            cd \(directory)
            \(asUser) \(bin)/\(makeData) >\(directory)/initdb.log 2>&1 || touch \(directory)/failed
            while read -r word; do
              # One that has ended is still in the list of processes, and a server with its number would not start.
              [ -z "$child" ] || wait $child
              (exec \(asUser) \(bin)/postgres -D \(directory)/data -c listen_addresses= \
            -c unix_socket_directories=\(directory)/s -c fsync=off -c full_page_writes=off \
            -c shared_buffers=32MB -c max_connections=60 -c autovacuum_naptime=3600 \
            -c log_min_messages=panic -c deadlock_timeout=200ms \
            \(setup.settings.map { "-c \($0)" }.joined(separator: " ")) >>\(directory)/log 2>&1) &
              child=$!
            done
            kill -QUIT $child; wait; cd /; \(unmount); rm -rf \(directory)
            """
        let isPrivate = setup.diskSize != nil
        process.executableURL = URL(fileURLWithPath: isPrivate ? "/usr/bin/unshare" : "/bin/sh")
        process.arguments = (isPrivate ? ["--mount", "/bin/sh"] : []) + ["-c", script]
        let pipe = Pipe()
        process.standardInput = pipe
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        keeper = Lock(pipe.fileHandleForWriting)
        try start()
    }

    // The process has the pipe as long as it runs.
    deinit { keeper.withLock { try? $0.close() } }

    package static func program(_ name: String) throws -> String { try programs() + "/" + name }

    private static func programs() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let newest = versions.compactMap(Int.init).max()
        guard let newest else { throw Failed(description: "nothing in \(root)") }
        return "\(root)/\(newest)/bin"
    }

    // MARK: its life

    package func start() throws {
        try keeper.withLock { try $0.write(contentsOf: Data("start\n".utf8)) }
        for _ in 0..<3_000 {
            if (try? Session(url())) != nil { return }
            if FileManager.default.fileExists(atPath: directory + "/failed") { break }
            usleep(20_000)
        }
        let log = (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
        throw Failed(description: "the server did not start: \(log.suffix(2000))")
    }

    private var pid: pid_t? {
        let text = try? String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8)
        return text?.split(separator: "\n").first.flatMap { pid_t($0) }
    }

    /// Ends all processes of the server, as `kill -9` does.
    package func kill() {
        guard let pid else { return }
        let children = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        let own = children.compactMap { pid_t($0) }.filter { child in
            let stat = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)
            // The name, in parentheses, may hold anything; behind it come the state and the parent.
            let fields = stat?.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 1 && pid_t(fields[1]) == pid
        }
        Foundation.kill(pid, SIGKILL)
        for child in own { Foundation.kill(child, SIGKILL) }
        waitForEnd(of: [pid] + own)
    }

    /// Ends the server at once, without letting anything finish.
    package func stopImmediately() {
        guard let pid else { return }
        Foundation.kill(pid, SIGQUIT)
        waitForEnd(of: [pid])
    }

    private func waitForEnd(of pids: [pid_t]) {
        for pid in pids {
            for _ in 0..<3_000 {
                let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
                guard let stat, !stat.contains(") Z ") else { break }
                usleep(10_000)
            }
        }
    }

    /// The file that says how each role shows who it is.
    package var rules: String { directory + "/data/pg_hba.conf" }

    package func setRules(_ new: String) throws {
        let file = try FileHandle(forWritingTo: URL(filePath: rules))
        // The file stays the server's user's.
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: Data(new.utf8))
        try Session(url()).run("SELECT pg_reload_conf()")
    }

    // MARK: its disk

    /// The disk, as another process than the server's sees it.
    private var disk: String { "/proc/\(process.processIdentifier)/root\(directory)/disk" }

    /// Leaves no room on the disk.
    package func fillDisk() {
        let file = open(disk + "/fill", O_CREAT | O_WRONLY, 0o600)
        let page = [UInt8](repeating: 1, count: 4096)
        while write(file, page, page.count) > 0 {}
        close(file)
    }

    package func makeRoomOnDisk() { unlink(disk + "/fill") }

    // MARK: its databases

    /// The directory of its socket.
    package var socket: String { directory + "/s" }

    /// - Parameter socket: the directory of another socket, such as a proxy's.
    package func url(
        _ database: String = "postgres", socket: String? = nil, user: String = "postgres"
    )
        -> String
    {
        let host = (socket ?? self.socket).replacing("/", with: "%2F")
        return "postgresql://\(user)@\(host)/\(database)"
    }

    /// Ends all sessions of a database, as an administrator would.
    package func endSessions(of database: TestDatabase) throws {
        try Session(url()).run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(database.name)'"
        )
    }

    /// An empty database.
    ///
    /// - Parameter options: further words of `CREATE DATABASE`.
    package func makeDatabase(_ options: String = "") throws -> TestDatabase {
        let number = count.withLock { count in
            count += 1
            return count
        }
        try Session(url()).run("CREATE DATABASE t\(number) \(options)")
        return TestDatabase(server: self, name: "t\(number)")
    }
}

package struct TestDatabase: Sendable {
    package let server: TestServer
    package let name: String
    /// The directory of another socket than the server's.
    package var socket: String?

    package init(server: TestServer, name: String, socket: String? = nil) {
        (self.server, self.name, self.socket) = (server, name, socket)
    }

    package var url: String { server.url(name, socket: socket) }

    /// What a statement gives, as text.
    @discardableResult
    package func run(_ sql: String) throws -> [[String?]] { try Session(url).run(sql) }

    package func value(_ sql: String) throws -> String? { try run(sql).first?.first ?? nil }
}

/// A session of a user's. One statement at a time runs.
package final class Session: Sendable {
    private let connection: Lock<OpaquePointer>

    package init(_ url: String) throws {
        connection = Lock(PQconnectdb(url))
        try connection.withLock { connection in
            guard PQstatus(connection) == CONNECTION_OK else {
                throw TestServer.Failed(description: String(cString: PQerrorMessage(connection)))
            }
            PQsetNoticeProcessor(connection, { _, _ in }, nil)
        }
        // Some tests give a database settings that are meant for the store.
        try run("SET statement_timeout = 0")
    }

    deinit { connection.withLock { PQfinish($0) } }

    @discardableResult
    package func run(_ sql: String) throws -> [[String?]] {
        try connection.withLock { connection in
            let result = PQexec(connection, sql)
            defer { PQclear(result) }
            guard [PGRES_COMMAND_OK, PGRES_TUPLES_OK].contains(PQresultStatus(result)) else {
                throw TestServer.Failed(description: String(cString: PQresultErrorMessage(result)))
            }
            return (0..<PQntuples(result)).map { row in
                (0..<PQnfields(result)).map { column in
                    PQgetisnull(result, row, column) == 1
                        ? nil : String(cString: PQgetvalue(result, row, column))
                }
            }
        }
    }
}
