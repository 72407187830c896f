import EventLog
import WriteBehindCore

/// Sessions that read, each on a thread of its own: no thread of Swift's pool waits for the server.
///
/// They start as they are needed, and stay.
final class ReadSessions: Sendable {
    private typealias Job = @Sendable (Result<PostgreSQLConnection, SinkError>) -> SinkError?

    private struct State {
        var jobs: [Job] = []
        var threads = 0
        var idle = 0
        var isClosed = false
    }

    private let options: PostgreSQLOptions
    private let startThread: StartThread
    private let stop = PostgreSQLStop()
    private let state = Lock(State())
    private let work = Signal()

    init(_ options: PostgreSQLOptions, _ startThread: @escaping StartThread) {
        (self.options, self.startThread) = (options, startThread)
    }

    deinit { close() }

    /// Ends all reads, those that are on their way too.
    func close() {
        stop.set()
        let jobs = state.withLock { state in
            state.isClosed = true
            defer { state.jobs = [] }
            return state.jobs
        }
        for job in jobs { _ = job(.failure(Self.closed)) }
        work.raise()
    }

    private static var closed: SinkError { SinkError(.gone, "the database is closed") }

    /// Runs `body` with a session, and waits for it on the calling thread.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PostgreSQLConnection) throws(SinkError) -> Value
    ) throws(SinkError) -> Value {
        let done = Signal()
        let box = ResultBox<Value>(done)
        try begin(body) { box.set($0) }
        done.wait(after: 0)
        return try box.get()
    }

    /// Runs `body` with a session, and suspends the caller meanwhile.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PostgreSQLConnection) throws(SinkError) -> Value
    ) async throws(SinkError) -> Value {
        let result: Result<Value, SinkError> = await withCheckedContinuation { continuation in
            do throws(SinkError) {
                try begin(body) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    /// Runs `body` with a session, and does not wait for it.
    ///
    /// - Parameter end: is called exactly once, unless this throws.
    func begin<Value: Sendable>(
        _ body: @escaping @Sendable (PostgreSQLConnection) throws(SinkError) -> Value,
        end: @escaping @Sendable (Result<Value, SinkError>) -> Void
    ) throws(SinkError) {
        let attempts = ReadAttempts()
        let job: Job = { session in
            let result: Result<Value, SinkError>
            switch session {
            case .success(let connection):
                result = Result { () throws(SinkError) in try body(connection) }
            case .failure(let error): result = .failure(error)
            }
            // A session that was idle may be of a server that has been started anew since.
            if case .success = session, case .failure(let error) = result, error.kind == .gone,
                attempts.takeLast()
            {
                return error
            }
            end(result)
            return nil
        }
        let mustStart = try state.withLock { (state) throws(SinkError) -> Bool in
            guard !state.isClosed else { throw Self.closed }
            state.jobs.append(job)
            guard state.idle < state.jobs.count, state.threads < options.readers else {
                return false
            }
            state.threads += 1
            return true
        }
        work.raise()
        if mustStart { try start() }
    }

    private func start() throws(SinkError) {
        do throws(NoThread) {
            try startThread("wb-pg-reader") { [self] in serve() }
        } catch {
            let (left, jobs) = state.withLock { state -> (Int, [Job]) in
                state.threads -= 1
                guard state.threads == 0 else { return (state.threads, []) }
                defer { state.jobs = [] }
                return (0, state.jobs)
            }
            guard left == 0 else { return }
            for job in jobs { _ = job(.failure(SinkError(.io, "\(error)"))) }
        }
    }

    /// A thread's life.
    private func serve() {
        var session: PostgreSQLConnection?
        while let job = next() {
            if session?.isUsable != true { session = nil }
            if job(current(&session)) != nil {
                session = nil
                _ = job(current(&session))
            }
        }
    }

    private func current(
        _ session: inout PostgreSQLConnection?
    ) -> Result<PostgreSQLConnection, SinkError> {
        if let session { return .success(session) }
        return Result { () throws(SinkError) in
            let new = try PostgreSQLConnection(options, stop: stop)
            session = new
            return new
        }
    }

    /// Waits for something to read; nil once this is closed.
    private func next() -> Job? {
        while true {
            let ticket = work.current
            let (job, isClosed) = state.withLock { state -> (Job?, Bool) in
                if !state.jobs.isEmpty { return (state.jobs.removeFirst(), false) }
                if !state.isClosed { state.idle += 1 }
                return (nil, state.isClosed)
            }
            if job != nil || isClosed { return job }
            work.wait(after: ticket)
            state.withLock { $0.idle -= 1 }
        }
    }
}

/// Whether a read may be tried once more.
private final class ReadAttempts: Sendable {
    private let isLeft = Lock(true)

    func takeLast() -> Bool {
        isLeft.withLock { isLeft in
            defer { isLeft = false }
            return isLeft
        }
    }
}

/// A result that a thread waits for.
private final class ResultBox<Value: Sendable>: Sendable {
    private let result = Lock<Result<Value, SinkError>?>(nil)
    private let done: Signal

    init(_ done: Signal) { self.done = done }

    func set(_ new: Result<Value, SinkError>) {
        result.withLock { $0 = new }
        done.raise()
    }

    func get() throws(SinkError) -> Value {
        guard let result = result.withLock({ $0 }) else {
            throw SinkError(.gone, "the read has no result")
        }
        return try result.get()
    }
}
