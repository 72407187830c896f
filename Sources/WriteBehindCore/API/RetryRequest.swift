package import EventLog
import Foundation

// How the tool asks a running writer to try its quarantine again: two files in the store's directory.
//
//   quarantine.retry      empty, made by the tool
//   quarantine.retried    {"applied":3,"left":1,"secondaries":[{"applied":0,"left":2,"name":"reports"}]}, made by the
//                         writer; with "error" in the object of a database that could not be asked
//
// The writer removes the request before it begins, so a request is carried out at most once. The writer may try its
// quarantine at any time, so a request does no harm even if its tool is gone. The writer reads nothing from the
// request, which may be another user's file.

/// A request to try quarantine again.
package struct RetryRequest: Sendable {
    package struct Answer: Codable, Equatable, Sendable {
        package struct Secondary: Codable, Equatable, Sendable {
            package var name: String
            package var applied = 0
            package var left = 0
            package var error: String?
        }

        /// Commits that left quarantine, and commits that are still in it.
        package var applied = 0
        package var left = 0
        package var error: String?
        package var secondaries: [Secondary] = []

        /// The answer for the store's own database alone.
        package init(_ retried: Quarantine.Retried) {
            (applied, left) = (retried.applied, retried.left)
        }

        /// Tries the quarantine of all databases of a store. Blocks its thread.
        init(trying quarantine: Quarantine, _ secondaries: [SecondaryQuarantine]) {
            do {
                let result = try quarantine.retryBlocking()
                (applied, left) = (result.applied, result.left)
            } catch {
                self.error = "\(error)"
            }
            self.secondaries = secondaries.map { secondary in
                var part = Secondary(name: secondary.database.name)
                do {
                    let result = try secondary.retryBlocking()
                    (part.applied, part.left) = (result.applied, result.left)
                } catch {
                    part.error = "\(error)"
                }
                return part
            }
        }
    }

    private let layout: StoreLayout
    private let disk: any Disk

    /// Leaves the request where the writer finds it.
    package init(_ layout: StoreLayout, on disk: any Disk) throws(SystemError) {
        (self.layout, self.disk) = (layout, disk)
        // An answer that is there already belongs to an earlier request.
        if try disk.exists(layout.retried) { try disk.remove(layout.retried) }
        try disk.replace(layout.retryRequest, with: [], isSynced: false)
    }

    /// Takes the writer's answer; nil while there is none.
    package func answer() throws -> Answer? {
        guard try disk.exists(layout.retried) else { return nil }
        let bytes = try disk.open(layout.retried, .read).bytes(64 << 10)
        try disk.remove(layout.retried)
        return try JSONDecoder().decode(Answer.self, from: Data(bytes))
    }

    /// Takes the request back. Returns whether the writer had not begun yet.
    @discardableResult
    package func withdraw() -> Bool { (try? disk.remove(layout.retryRequest)) != nil }

    /// For the writer: removes a request, carries it out and answers it.
    static func serve(
        _ layout: StoreLayout, on disk: any Disk, _ retry: () -> Answer
    ) throws {
        guard try disk.exists(layout.retryRequest) else { return }
        try disk.remove(layout.retryRequest)
        try disk.replace(
            layout.retried, with: Array(JSONEncoder().encode(retry())), isSynced: false)
    }
}
