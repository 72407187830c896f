import CPostgreSQL
import EventLog
import Glibc
import WriteBehindCore

/// A session of the server.
///
/// It never waits inside libpq, which cannot be interrupted: all waiting is done here, so that the store can be closed
/// and a server that says nothing is given up.
///
/// `@unchecked Sendable`: it has no lock of its own. Its owner, the writer or a read session, lets one thread at a time use it.
@safe final class PostgreSQLConnection: @unchecked Sendable {
    private let connection: OpaquePointer
    private let options: PostgreSQLOptions
    private let stop: PostgreSQLStop
    /// The names of statements that the server has prepared.
    private var prepared: [String: String] = [:]
    /// What the names begin with. Another session has others: behind a pooler, one that has the same server process must
    /// not run this one's statements for its own.
    private let prefix = "wb" + String(UInt64.random(in: 1 ... .max), radix: 36)
    private static let preparedLimit = 256
    /// The server's process for this session.
    private(set) var process: Int64 = 0
    /// False once the server or the way to it is gone: what was asked last may have been done.
    private(set) var isUsable = true
    /// Whether an answer may take as long as the server likes.
    private var isPatient = false
    /// How long an answer may take, nanoseconds, where that is less than a server may be silent.
    var answerLimit: UInt64 = .max
    /// Whether something was sent of which nobody has the answer yet.
    private var isAwaited = false
    /// Called once if an answer takes longer than half of what locks may take.
    var whileWaiting: (() -> Void)?

    /// Whether a pooler is in between: it names a process of its own, which the server does not know.
    var isPooled: Bool { process != Int64(unsafe PQbackendPID(connection)) }

    /// Connects and sets up the session; no setting that matters is left as a role or a database has it.
    init(_ options: PostgreSQLOptions, stop: PostgreSQLStop) throws(SinkError) {
        self.options = options
        self.stop = stop
        guard let connection = unsafe Self.start(options) else {
            throw SinkError(.io, "no memory for a connection")
        }
        unsafe self.connection = unsafe connection
        // Notices would go to the standard error of a program that did not ask for them.
        _ = unsafe PQsetNoticeReceiver(connection, { _, _ in }, nil)
        try connect()
        guard unsafe PQserverVersion(connection) >= 140_000 else {
            throw SinkError(
                .schema, "the server is older than PostgreSQL 14, the oldest that will do")
        }
        _ = unsafe PQsetnonblocking(connection, 1)
        try setUp()
    }

    deinit { unsafe PQfinish(connection) }

    private static func start(_ options: PostgreSQLOptions) -> OpaquePointer? {
        // What the address says comes after these, so it decides.
        let words = [
            ("application_name", "writebehind"), ("keepalives_idle", "10"),
            ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "30000"), ("dbname", options.address),
        ]
        return unsafe withCStrings(words.map(\.0)) { names in
            unsafe withCStrings(words.map(\.1)) { values in
                unsafe PQconnectStartParams(names, values, 1)
            }
        }
    }

    private func connect() throws(SinkError) {
        let end = Self.now() + options.connectLimit
        var state = PGRES_POLLING_WRITING
        while true {
            let isReady: Bool
            switch unsafe PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : state {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: isReady = poll(Int16(POLLIN))
            case PGRES_POLLING_WRITING: isReady = poll(Int16(POLLOUT))
            default: throw lost()
            }
            if stop.isSet { throw closed() }
            guard Self.now() < end else {
                throw SinkError(.gone, "the server did not answer when a connection was made")
            }
            // Asked before the socket is ready, it would take that for a failure.
            if isReady { state = unsafe PQconnectPoll(connection) }
        }
    }

    // MARK: statements

    /// Runs a statement that has neither parameters nor rows.
    @discardableResult
    func run(_ sql: String) throws(SinkError) -> PostgreSQLAnswer {
        try begin()
        try check(unsafe PQsendQuery(connection, sql))
        return try answer()
    }

    /// Runs a statement that is prepared for once a session. Rows are in binary.
    func run(
        _ sql: String, _ parameters: PostgreSQLParameters
    ) throws(SinkError) -> PostgreSQLAnswer {
        try send(sql, parameters)
        return try receive()
    }

    /// Sends a statement as ``run(_:_:)`` does. While the server works on it, the caller can do other work.
    func send(_ sql: String, _ parameters: PostgreSQLParameters) throws(SinkError) {
        try begin()
        let name = try prepare(sql)
        let sent = unsafe parameters.bytes.withUnsafeBytes { bytes in
            let base = bytes.baseAddress
            // Nothing at an address is an empty value, and no address is a null.
            let empty = unsafe UnsafeRawPointer(bitPattern: 1)
            let places = parameters.places
            let values = unsafe places.map { place in
                unsafe place.flatMap { place -> UnsafePointer<CChar>? in
                    let start = unsafe base.map { unsafe $0 + place.lowerBound } ?? empty
                    return unsafe start?.assumingMemoryBound(to: CChar.self)
                }
            }
            let lengths = places.map { Int32($0?.count ?? 0) }
            let formats = [Int32](repeating: 1, count: places.count)
            return unsafe PQsendQueryPrepared(
                connection, name, Int32(places.count), values, lengths, formats, 1)
        }
        try check(sent)
        isAwaited = true
        try flush()
    }

    /// The answer to what was sent last.
    func receive() throws(SinkError) -> PostgreSQLAnswer {
        isAwaited = false
        do throws(SinkError) {
            return try answer()
        } catch {
            guard error.sqlState == "26000" else { throw error }
            var error = error
            error.message += "; if \(SinkError.pooled.message)"
            throw error
        }
    }

    private func prepare(_ sql: String) throws(SinkError) -> String {
        if let name = prepared[sql] { return name }
        if prepared.count >= Self.preparedLimit { try forgetPrepared() }
        let name = "\(prefix)_\(prepared.count)"
        try check(unsafe PQsendPrepare(connection, name, sql, 0, nil))
        _ = try answer()
        prepared[sql] = name
        return name
    }

    /// Statements are prepared again from now on. Not inside a transaction that has failed.
    func forgetPrepared() throws(SinkError) {
        prepared = [:]
        try run("DEALLOCATE ALL")
    }

    /// Runs what may take the server very long: rewriting a table, making an index, deleting all rows.
    func patiently<Result>(_ body: () throws(SinkError) -> Result) throws(SinkError) -> Result {
        isPatient = true
        defer { isPatient = false }
        return try body()
    }

    /// Throws if the session has ended while nothing was asked.
    func look() throws(SinkError) {
        try begin()
        guard unsafe PQconsumeInput(connection) == 1, unsafe PQstatus(connection) == CONNECTION_OK
        else { throw lost() }
    }

    // MARK: waiting

    /// Gets ready to ask. An answer that nobody has received was given up with its transaction.
    private func begin() throws(SinkError) {
        try checkUsable()
        guard isAwaited else { return }
        _ = try? receive()
        try checkUsable()
    }

    /// Sends all of what was asked: the server begins only when it has everything.
    private func flush() throws(SinkError) {
        let start = Self.now()
        var hasWaited = false
        while true {
            let unsent = unsafe PQflush(connection)
            guard unsent >= 0 else { throw lost() }
            if unsent == 0 { return }
            // It may have to say something before it reads on.
            if poll(Int16(POLLIN | POLLOUT)) {
                guard unsafe PQconsumeInput(connection) == 1 else { throw lost() }
            } else {
                try check(since: start, &hasWaited)
            }
        }
    }

    /// Sends what was asked, and waits for all that the server says to it.
    private func answer() throws(SinkError) -> PostgreSQLAnswer {
        var start = Self.now()
        var hasWaited = false
        var result: PostgreSQLAnswer?
        while true {
            let unsent = unsafe PQflush(connection)
            guard unsent >= 0, unsafe PQconsumeInput(connection) == 1 else { throw lost() }
            if unsafe PQisBusy(connection) == 0 {
                // Without a result it has ended, or is broken.
                guard let next = unsafe PQgetResult(connection) else { break }
                let answer = unsafe PostgreSQLAnswer(next)
                // The first error is the cause of those that come after it.
                if result?.error == nil { result = answer }
                start = Self.now()
                continue
            }
            if poll(Int16(POLLIN) | (unsent == 1 ? Int16(POLLOUT) : 0)) { continue }
            try check(since: start, &hasWaited)
        }
        guard let result else { throw lost() }
        if unsafe PQstatus(connection) == CONNECTION_BAD { throw lost(result.error) }
        if let error = result.error {
            if error.kind == .gone { isUsable = false }
            throw error
        }
        return result
    }

    /// Gives a server up that says nothing.
    private func check(since start: UInt64, _ hasWaited: inout Bool) throws(SinkError) {
        if stop.isSet {
            isUsable = false
            throw closed()
        }
        let waited = Self.now() - start
        if !isPatient, waited >= min(options.silenceLimit, answerLimit) {
            isUsable = false
            throw SinkError(
                .gone, "the server has not answered for \(waited / 1_000_000_000) s")
        }
        if !hasWaited, waited >= UInt64(options.lockLimit) * 500_000 {
            hasWaited = true
            whileWaiting?()
        }
    }

    /// Waits a short while; false if nothing has come.
    private func poll(_ events: Int16) -> Bool {
        var polled = pollfd(fd: unsafe PQsocket(connection), events: events, revents: 0)
        return unsafe Glibc.poll(&polled, 1, 50) != 0
    }

    private func checkUsable() throws(SinkError) {
        guard isUsable else { throw SinkError(.gone, "the connection to the server is lost") }
    }

    private func check(_ sent: Int32) throws(SinkError) {
        if sent == 0 { throw lost() }
    }

    private func lost(_ error: SinkError? = nil) -> SinkError {
        isUsable = false
        if var error {
            error.kind = .gone
            return error
        }
        let words = unsafe PQerrorMessage(connection).map { unsafe String(cString: $0) } ?? ""
        let line = oneLine(words)
        return SinkError(.gone, line.isEmpty ? "the connection to the server is lost" : line)
    }

    private func closed() -> SinkError {
        isUsable = false
        return SinkError(.gone, "the database is closed")
    }

    private static func now() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}

extension PostgreSQLConnection {
    /// What a session must not take from a role, a database, the server's files or the environment. Settings that a
    /// server does not have are left out.
    private func setUp() throws(SinkError) {
        // First, since all that follows could be cut off.
        let first = try run("SET statement_timeout TO 0; SELECT pg_catalog.pg_backend_pid()")
        process = first.text(0, 0).flatMap { Int64($0) } ?? 0
        var (names, values) = (ArrayColumn(25), ArrayColumn(25))
        for (name, value) in Self.settings {
            names.append(name.utf8)
            values.append(value.utf8)
        }
        names.append("lock_timeout".utf8)
        values.append(String(options.lockLimit).utf8)
        var parameters = PostgreSQLParameters()
        parameters.append(names)
        parameters.append(values)
        _ = try run(
            """
            SELECT pg_catalog.set_config(s.name, u.value, false) \
            FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), \
            pg_catalog.unnest($2::pg_catalog.text[])) AS u(name, value) \
            JOIN pg_catalog.pg_settings AS s ON s.name OPERATOR(pg_catalog.=) u.name
            """, parameters)
        let role = try run(
            "SELECT current_setting('session_replication_role') OPERATOR(pg_catalog.=) 'origin'",
            PostgreSQLParameters())
        guard role.boolean(0, 0) else {
            throw SinkError(
                .schema,
                "session_replication_role is not 'origin' for this role or database, so foreign keys and triggers "
                    + "would not be looked at; ALTER ROLE or ALTER DATABASE … RESET session_replication_role"
            )
        }
    }

    private static let settings = [
        ("client_encoding", "UTF8"), ("search_path", "pg_catalog, pg_temp"),
        ("default_transaction_isolation", "read committed"),
        ("default_transaction_read_only", "off"), ("default_transaction_deferrable", "off"),
        ("row_security", "off"), ("transaction_timeout", "0"), ("idle_session_timeout", "0"),
        // A backend whose store has died in the middle of a transaction ends by itself.
        ("idle_in_transaction_session_timeout", "300000"),
        ("client_connection_check_interval", "10000"),
        // Rows and watermark go back together; what is kept for good is said by checkpoints.
        ("synchronous_commit", "off"),
        // Arrays of one row and of ten thousand need different plans.
        ("plan_cache_mode", "force_custom_plan"), ("jit", "off"),
        ("standard_conforming_strings", "on"), ("bytea_output", "hex"), ("TimeZone", "UTC"),
        ("DateStyle", "ISO, YMD"), ("extra_float_digits", "1"),
    ]
}

/// Lends copies of texts to C, with a null behind them.
@unsafe private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let copies = unsafe strings.map { unsafe strdup($0) }
    defer { for place in unsafe copies.indices { unsafe free(copies[place]) } }
    let pointers = unsafe copies.map { unsafe UnsafePointer<CChar>($0) } + [nil]
    // An array with an element has an address.
    return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
}
