import EventLog

/// Something that reads the log behind its writer: a database, or a change stream.
package protocol LogFollower: AnyObject, Sendable {
    /// The last sequence up to which it needs nothing more from the log.
    ///
    /// - Parameter checkpoint: whether segments are about to be deleted, so that the answer must still be right after
    ///   power loss.
    func released(checkpoint: Bool) throws -> UInt64

    /// Called when more of the log can be read, on the thread that has made it so. It must not wait.
    func logDidGrow()
}

/// The followers of one log.
///
/// Before retention deletes a segment, it asks here how far all followers are. So a new kind of follower only has to add
/// itself; no other code depends on it.
package final class Followers: Sendable {
    private let members = Lock<[any LogFollower]>([])

    package init() {}

    package func add(_ follower: any LogFollower) {
        members.withLock { $0.append(follower) }
    }

    /// Removes a follower. The log that it has not read may be deleted from now on.
    package func remove(_ follower: any LogFollower) {
        members.withLock { $0.removeAll { $0 === follower } }
    }

    /// The last sequence that no follower needs from the log.
    package func released(checkpoint: Bool) throws -> UInt64 {
        // Not under the lock, because a checkpoint waits for the disk.
        var released = UInt64.max
        for follower in members.withLock({ $0 }) {
            released = min(released, try follower.released(checkpoint: checkpoint))
        }
        return released
    }

    package func logDidGrow() {
        for follower in members.withLock({ $0 }) { follower.logDidGrow() }
    }
}
