import Foundation

/// Looks every few milliseconds until something holds; false after the time given.
package func eventually(
    within seconds: Double = 300, _ holds: () async throws -> Bool
) async rethrows -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    // Not by time alone: among many tests this one, and what it waits for, may get no thread for minutes.
    var looks = 0
    while Date() < end || looks < 2_000 {
        if try await holds() { return true }
        looks += 1
        try? await Task.sleep(for: .milliseconds(5))
    }
    return try await holds()
}
