import Foundation
import Synchronization

/// Notices Ctrl-C and `kill` between two steps, for commands that must clean up before they end.
struct Interrupts {
    private static let flag = Atomic<Bool>(false)

    init() {
        // The flag is made before a handler runs, because making it in the handler would not be safe.
        Self.flag.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in Interrupts.flag.store(true, ordering: .relaxed) }
        }
    }

    var wasInterrupted: Bool { Self.flag.load(ordering: .relaxed) }

    /// Sleeps, and wakes soon after an interrupt.
    func sleep(_ seconds: Double) {
        let end = ContinuousClock.now + .seconds(seconds)
        while !wasInterrupted, ContinuousClock.now < end {
            Thread.sleep(forTimeInterval: min(0.05, seconds))
        }
    }
}

/// The command was interrupted and has left nothing half done.
struct Interrupted: Error {}
