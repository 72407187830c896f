import Glibc
import Synchronization

/// Tells whether this process is a child that `fork()` made after the store was opened.
///
/// Such a child shares the parent's mapped buffer, so its writes would mix with the parent's
/// staged commits. Asking for the process id each time would cost a system call.
enum ForkGuard {
    private static let forks = Atomic<UInt64>(0)

    private static let install: Void = {
        _ = pthread_atfork(nil, nil) { ForkGuard.forks.add(1, ordering: .relaxed) }
    }()

    /// The state to remember when opening.
    static func current() -> UInt64 {
        _ = install
        return forks.load(ordering: .relaxed)
    }

    /// Whether the process is still the one that called ``current()``.
    @inline(__always)
    static func isSame(_ remembered: UInt64) -> Bool {
        forks.load(ordering: .relaxed) == remembered
    }
}
