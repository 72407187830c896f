import Foundation

/// Bytes that stay valid during a call.
typealias Bytes = UnsafeBufferPointer<UInt8>

/// A key-value store as the workloads use it: WriteBehind or a peer.
protocol Peer: AnyObject, Sendable {
    /// A connection for one thread.
    ///
    /// - Parameter durable: whether a put returns only once it survives power loss.
    func session(durable: Bool) throws -> any Session
    func close() async throws
}

/// A connection to a peer. Used by one thread.
protocol Session: AnyObject {
    func put(_ key: Bytes, _ value: Bytes) throws
    /// The length of the value under a key; nil if there is none.
    func get(_ key: Bytes) throws -> Int?
    /// Waits for the puts that are not answered yet.
    func finish() throws
}

extension Session {
    func finish() throws {}
}

struct PeerError: Error, CustomStringConvertible {
    var description: String

    init(_ peer: String, _ reason: String) { description = "\(peer): \(reason)" }

    /// Takes over a message that the peer allocated.
    init(_ peer: String, taking message: UnsafeMutablePointer<CChar>) {
        self.init(peer, String(cString: message))
        free(message)
    }
}
