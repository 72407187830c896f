import EventLog
import Foundation
import PostgreSQLServer

/// Stands between the store and the server, and lends the server's processes to its clients.
final class TestPooler: Sendable {
    enum Order: Sendable, CaseIterable {
        /// To each transaction the process that has become free last: one that is alone always gets the same.
        case last
        /// To each transaction another process.
        case inTurn
        /// To each client one, as long as it stays.
        case aSession
    }

    /// A session with the server.
    private struct Backend {
        var connection: Int32
        /// What the server says to a new session.
        var greeting: [[UInt8]]
    }

    let directory: String
    private let server: String
    private let order: Order
    private let listener: Int32
    private let free = Lock<[Backend]>([])
    private let clients = Lock<[Int32]>([])

    init(to server: TestServer, _ order: Order) throws {
        directory = server.directory + "/pool\(Int.random(in: 1...1_000_000))"
        self.server = server.socket + "/.s.PGSQL.5432"
        self.order = order
        listener = try TestProxy.listener(in: directory)
        Thread.detachNewThread { [self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                clients.withLock { $0.append(client) }
                Thread.detachNewThread { [self] in serve(client) }
            }
        }
    }

    /// Ends all connections.
    func end() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for client in clients.withLock({ $0 }) { shutdown(client, Int32(SHUT_RDWR)) }
    }

    private func serve(_ client: Int32) {
        var backend: Backend?
        defer {
            if let backend { close(backend.connection) }
            clients.withLock { $0.removeAll { $0 == client } }
            close(client)
        }
        guard let (start, _) = TestProxy.read(client, false, true) else { return }
        // Two at least, so that there is another one.
        let needed = order == .inTurn ? 2 : 1
        while free.withLock({ $0.count }) < needed {
            guard let new = connect(start) else { return }
            free.withLock { $0.append(new) }
        }
        backend = take() ?? connect(start)
        guard let greeting = backend?.greeting else { return }
        for message in greeting { guard TestProxy.write(message, to: client) else { return } }
        leave(&backend, isIdle: true)
        while let (bytes, message) = TestProxy.read(client, false, false) {
            guard message.type != UInt8(ascii: "X") else { break }
            backend = backend ?? take() ?? connect(start)
            guard let current = backend, TestProxy.write(bytes, to: current.connection) else {
                return
            }
            // The server answers to these.
            guard [UInt8(ascii: "Q"), UInt8(ascii: "S")].contains(message.type) else { continue }
            guard let isIdle = forward(current, to: client) else { return }
            leave(&backend, isIdle: isIdle)
        }
    }

    private func take() -> Backend? {
        free.withLock { free in
            guard !free.isEmpty else { return nil }
            return order == .last ? free.removeLast() : free.removeFirst()
        }
    }

    private func leave(_ backend: inout Backend?, isIdle: Bool) {
        guard order != .aSession, isIdle, let idle = backend else { return }
        free.withLock { $0.append(idle) }
        backend = nil
    }

    private func connect(_ start: [UInt8]) -> Backend? {
        guard let new = TestProxy.connection(to: server) else { return nil }
        guard TestProxy.write(start, to: new) else { return nil }
        var greeting: [[UInt8]] = []
        while let (bytes, message) = TestProxy.read(new, true, false) {
            // The process that a client may cancel is the pooler's business.
            let isKey = message.type == UInt8(ascii: "K")
            greeting.append(isKey ? bytes.prefix(5) + [0x7F, 0xFF, 0, 1, 0, 0, 0, 1] : bytes)
            if message.type == UInt8(ascii: "Z") {
                return Backend(connection: new, greeting: greeting)
            }
        }
        close(new)
        return nil
    }

    /// Forwards what the server says until it waits for the client, and tells whether no transaction is open then; nil if
    /// one of the two is gone.
    private func forward(_ backend: Backend, to client: Int32) -> Bool? {
        while let (bytes, message) = TestProxy.read(backend.connection, true, false) {
            guard TestProxy.write(bytes, to: client) else { return nil }
            if message.type == UInt8(ascii: "Z") { return message.text == "I" }
        }
        return nil
    }
}
