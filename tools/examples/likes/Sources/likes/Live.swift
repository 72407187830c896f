import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import Synchronization
import WriteBehind

/// Follows the posts, and sends the standings to every open page.
final class Live: Service {
    struct Standings: Codable {
        var leaders: [Post]
        var newest: [Post]
    }

    private struct State {
        var last: ByteBuffer?
        var watchers: [UUID: AsyncStream<ByteBuffer>.Continuation] = [:]
    }

    private let board: Board
    private let logger = Logger(label: "live page")
    private let state = Mutex(State())

    init(_ board: Board) {
        self.board = board
    }

    /// Server-sent events: the present standings, and the new ones after each change.
    func events() -> AsyncStream<ByteBuffer> {
        // A slow reader skips standings that are out of date.
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let id = UUID()
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.watchers[id] = nil }
            }
            state.withLock { state in
                state.watchers[id] = continuation
                if let last = state.last { continuation.yield(last) }
            }
        }
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await follow()
                } catch let error where !Task.isCancelled {
                    // The server goes on, and the page starts again.
                    logger.error("the live page stopped", metadata: ["cause": "\(error)"])
                    try await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    private func follow() async throws {
        let store = board.store
        let changes = store.changes(of: board.posts, named: "live page")
        var shown = store.health.lag.staged
        try await show()
        for try await change in changes where change.sequence > shown {
            // The standings are as of the last write, so they show all changes up to it.
            shown = store.health.lag.staged
            try await show()
            try await change.acknowledge()
            // People do not read faster. Meanwhile changes wait in the log, not in memory.
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func show() async throws {
        let standings = try await Standings(
            leaders: board.leaders(10), newest: board.feed(limit: 10).rows)
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        let json = try String(decoding: encoder.encode(standings), as: UTF8.self)
        let event = ByteBuffer(string: "data: \(json)\n\n")
        state.withLock { state in
            state.last = event
            for watcher in state.watchers.values { watcher.yield(event) }
        }
    }
}
