import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

@testable import likes

/// Sends requests to a server that listens on a port of this machine.
struct Client: Sendable {
    /// An answer that is not 200.
    struct Refused: Error, Equatable {
        var status: Int
    }

    let port: Int

    /// Sends a request with a body of JSON, and decodes the answer.
    func call<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, token: UUID? = nil,
        _ body: (any Encodable & Sendable)? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: "http://localhost:\(port)\(path)")
        request.method = method
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        if let body { request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body))) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        guard response.status == .ok else { throw Refused(status: Int(response.status.code)) }
        return try JSONDecoder.iso8601.decode(Answer.self, from: Data(bytes.readableBytesView))
    }

    /// Signs a user in.
    func token(of user: String) async throws -> UUID {
        let session: SignedIn = try await call(.POST, "/sessions", SignIn(user: user))
        return session.token
    }

    /// Reads the events of the live page until they are enough or the server ends.
    func watch(_ isEnough: (Live.Standings) -> Bool) async throws {
        let request = HTTPClientRequest(url: "http://localhost:\(port)/live")
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        var received = ""
        for try await part in response.body {
            received += String(buffer: part)
            while let end = received.range(of: "\n\n") {
                let json = received[..<end.lowerBound].dropFirst("data: ".count)
                received.removeSubrange(..<end.upperBound)
                let standings = try JSONDecoder.iso8601.decode(
                    Live.Standings.self, from: Data(json.utf8))
                if isEnough(standings) { return }
            }
        }
    }
}

/// The answer to a health probe.
struct Probe: Decodable {
    var verdict: String
}

extension JSONDecoder {
    static var iso8601: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return decoder
    }
}
