import EventLog

/// A value behind a lock, for test doubles that several threads use.
package final class Locked<Value>: @unchecked Sendable {
    // The value is only used with the lock held.
    private let mutex = Lock(())
    private var value: Value

    package init(_ value: Value) {
        self.value = value
    }

    package func withLock<R>(_ body: (inout Value) throws -> R) rethrows -> R {
        try mutex.withLock { _ in try body(&value) }
    }
}
