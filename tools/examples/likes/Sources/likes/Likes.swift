import Foundation
import Hummingbird
import WriteBehind

@main struct Likes {
    /// likes DIRECTORY [PORT]
    static func main() async throws {
        let arguments = CommandLine.arguments
        let port = arguments.count > 2 ? Int(arguments[2]) : 8080
        guard arguments.count > 1, let port else {
            FileHandle.standardError.write(Data("usage: likes DIRECTORY [PORT]\n".utf8))
            exit(64)
        }
        let store = try await Store(at: arguments[1])
        try await server(Board(store), port: port).runService()
    }
}

/// The whole server. It shuts down in the reverse of the order of its services: requests first, the store last.
func server(_ board: Board, port: Int) -> some ApplicationProtocol {
    let live = Live(board)
    return Application(
        router: routes(board, live),
        configuration: .init(address: .hostname("127.0.0.1", port: port)),
        services: [board.store, live])
}
