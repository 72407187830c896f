import EventLog
import Foundation
import PostgreSQLServer
import Synchronization

/// Stands between the store and the server, and does what networks do.
final class TestProxy: Sendable {
    struct Message: Sendable {
        var isFromServer: Bool
        /// 0 for the first message of a session, which has none.
        var type: UInt8
        var payload: [UInt8]

        /// A statement of the client's, or the name of what the server has done.
        var text: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
        var isCommit: Bool { !isFromServer && type == UInt8(ascii: "Q") && text == "COMMIT" }
        var isCommitted: Bool { isFromServer && type == UInt8(ascii: "C") && text == "COMMIT" }
    }

    enum Action: Sendable {
        case forward
        /// Ends both connections, and the message is lost.
        case cut
        case forwardAndCut
        /// The message is lost, and both sides wait for ever.
        case swallow
        /// No more comes from the side that has sent this.
        case halfClose
        case delay(milliseconds: UInt32)
    }

    typealias Rule = @Sendable (Message) -> Action

    let directory: String
    private let server: String
    private let listener: Int32
    private let rule: Lock<Rule>
    private let isSwallowing = Atomic<Bool>(false)

    init(to server: TestServer, number: Int) throws {
        directory = server.directory + "/p\(number)"
        self.server = server.directory + "/s/.s.PGSQL.5432"
        rule = Lock { _ in .forward }
        listener = try Self.listener(in: directory)
        Thread.detachNewThread { [self] in acceptAll() }
    }

    func end() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    func set(_ rule: @escaping Rule) { self.rule.withLock { $0 = rule } }

    /// Does something with the first message that fits, and forwards all others.
    func once(_ action: Action, _ fits: @escaping @Sendable (Message) -> Bool) -> Signal {
        let done = Signal()
        let isLeft = Lock(true)
        set { message in
            guard fits(message) else { return .forward }
            let isFirst = isLeft.withLock { isLeft in
                defer { isLeft = false }
                return isLeft
            }
            if isFirst { done.raise() }
            return isFirst ? action : .forward
        }
        return done
    }

    /// A socket where clients look for that of a server.
    static func listener(in directory: String) throws -> Int32 {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let path = directory + "/.s.PGSQL.5432"
        unlink(path)
        let bound = withAddress(path) { bind(listener, $0, $1) }
        guard bound == 0, listen(listener, 16) == 0 else {
            throw TestServer.Failed(description: "no socket for the proxy (\(errno))")
        }
        return listener
    }

    /// A connection to the server that has its socket there; nil if there is none.
    static func connection(to path: String) -> Int32? {
        let new = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard withAddress(path, { connect(new, $0, $1) }) == 0 else {
            close(new)
            return nil
        }
        return new
    }

    private static func withAddress<R>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            guard let upstream = Self.connection(to: server) else {
                close(client)
                continue
            }
            let pair = Pair(client, upstream)
            Thread.detachNewThread { [self] in pump(pair, fromServer: false) }
            Thread.detachNewThread { [self] in pump(pair, fromServer: true) }
        }
    }

    /// Two connections that end together.
    private final class Pair: Sendable {
        let client, upstream: Int32
        private let users = Lock(2)

        init(_ client: Int32, _ upstream: Int32) {
            (self.client, self.upstream) = (client, upstream)
        }

        func cut() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(upstream, Int32(SHUT_RDWR))
        }

        func leave() {
            let left = users.withLock { users in
                users -= 1
                return users
            }
            guard left == 0 else { return }
            close(client)
            close(upstream)
        }
    }

    private func pump(_ pair: Pair, fromServer: Bool) {
        let (source, target) =
            fromServer ? (pair.upstream, pair.client) : (pair.client, pair.upstream)
        defer {
            pair.cut()
            pair.leave()
        }
        var isFirst = !fromServer
        while let (bytes, message) = Self.read(source, fromServer, isFirst) {
            isFirst = false
            let action = rule.withLock { $0 }(message)
            switch action {
            case .forward: guard Self.write(bytes, to: target) else { return }
            case .cut: return
            case .forwardAndCut:
                _ = Self.write(bytes, to: target)
                // The server takes what it got before it sees the end.
                usleep(50_000)
                return
            case .swallow: continue
            case .halfClose:
                shutdown(target, Int32(SHUT_WR))
                while Self.read(source, fromServer, false) != nil {}
                return
            case .delay(let milliseconds):
                usleep(milliseconds * 1000)
                guard Self.write(bytes, to: target) else { return }
            }
        }
    }

    static func read(
        _ source: Int32, _ fromServer: Bool, _ isFirst: Bool
    ) -> (bytes: [UInt8], message: Message)? {
        let headCount = isFirst ? 4 : 5
        guard let head = exactly(headCount, from: source) else { return nil }
        let length = head.suffix(4).reduce(0) { $0 << 8 | Int($1) }
        guard let body = exactly(length - 4, from: source) else { return nil }
        return (
            head + body,
            Message(isFromServer: fromServer, type: isFirst ? 0 : head[0], payload: body)
        )
    }

    private static func exactly(_ count: Int, from source: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: max(0, count))
        var done = 0
        while done < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                recv(source, $0.baseAddress! + done, count - done, 0)
            }
            guard got > 0 else { return nil }
            done += got
        }
        return bytes
    }

    static func write(_ bytes: [UInt8], to target: Int32) -> Bool {
        var done = 0
        while done < bytes.count {
            let sent = bytes.withUnsafeBytes {
                send(target, $0.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            done += sent
        }
        return true
    }
}
