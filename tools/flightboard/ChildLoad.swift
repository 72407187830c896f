import Foundation
import WriteBehind

/// The process that the kill test kills: it shows events and reports each acknowledged one to its parent.
struct ChildLoad {
    let directory: String
    let timetable: Timetable

    /// Shows the events from `first` on. Returns if it is not killed.
    func run(from first: Int) async throws {
        let store = try await Store(at: directory, configuration: .quiet)
        let board = try Board(store)
        for event in timetable.events[first...] {
            guard let receipt = try await board.show(event, of: timetable.facts(event)) else {
                throw FlightFile.Problem(description: "\(timetable.key(event)) is not on the board")
            }
            // Not before the store has acknowledged it, and not buffered: what the parent reads has
            // happened.
            try tell(receipt.sequence)
        }
        try await store.close()
    }

    private func tell(_ sequence: UInt64) throws {
        try FileHandle.standardOutput.write(
            contentsOf: (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (8 * $0)) })
    }
}
