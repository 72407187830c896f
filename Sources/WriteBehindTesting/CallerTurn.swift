import EventLog
import Glibc

/// Lets one thread at a time step the workers. The threads of a test wait for each other here, only as long as the steps
/// take.
final class CallerTurn: Sendable {
    private let owner = Lock<pthread_t?>(nil)
    private let freed = Signal()

    /// Runs `body` once no other thread runs one; false, with nothing run, if this thread is already running one.
    @discardableResult
    func take(_ body: () -> Void) -> Bool {
        let own = pthread_self()
        while true {
            let ticket = freed.current
            let before = owner.withLock { owner in
                defer { owner = owner ?? own }
                return owner
            }
            if before == own { return false }
            if before == nil { break }
            freed.wait(after: ticket)
        }
        body()
        owner.withLock { $0 = nil }
        freed.raise()
        return true
    }
}
