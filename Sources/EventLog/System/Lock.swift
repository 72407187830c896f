public import Glibc

/// A value under a lock.
///
/// It is used instead of the standard library's `Mutex`, for two reasons. On Linux, `Mutex` hands the lock to the thread
/// that has waited longest, so under contention each hand-over costs a switch between two threads; this one goes to a
/// thread that is running. And the thread sanitizer supports this one. Lock and value have their own cache lines.
///
/// It is public because only public code can be inlined in other modules. No product exports this module.
///
/// `@unchecked Sendable`: the value is accessed only with the lock held, and both exist as long as this does and
/// never move.
@safe public struct Lock<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let value: UnsafeMutablePointer<Value>

    public init(_ initial: consuming sending Value) {
        let line = 64
        let offset = max(line, MemoryLayout<Value>.alignment)
        // The stride, not the size: a value of size 0 would have the address of the bytes behind it.
        let size = (offset + MemoryLayout<Value>.stride + line - 1) / line * line
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: offset)
        unsafe mutex = memory.bindMemory(to: pthread_mutex_t.self, capacity: 1)
        unsafe value = (memory + offset).bindMemory(to: Value.self, capacity: 1)
        var attributes = pthread_mutexattr_t()
        unsafe pthread_mutexattr_init(&attributes)
        // Locks are held for some 100 ns, so spinning is cheaper than sleeping and being woken.
        unsafe pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        unsafe pthread_mutex_init(mutex, &attributes)
        unsafe pthread_mutexattr_destroy(&attributes)
        unsafe value.initialize(to: initial)
    }

    deinit {
        unsafe value.deinitialize(count: 1)
        unsafe pthread_mutex_destroy(mutex)
        unsafe UnsafeMutableRawPointer(mutex).deallocate()
    }

    /// Runs `body` with the lock held. `body` must not call it again.
    @inlinable
    @inline(__always)
    public func withLock<R: ~Copyable, E: Error>(
        _ body: (inout sending Value) throws(E) -> sending R
    ) throws(E) -> sending R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try unsafe body(&value.pointee)
    }

    /// Like ``withLock(_:)``; nil, without waiting, if the lock is held.
    @inlinable
    @inline(__always)
    public func withLockIfAvailable<R: ~Copyable, E: Error>(
        _ body: (inout sending Value) throws(E) -> sending R
    ) throws(E) -> sending R? {
        guard unsafe pthread_mutex_trylock(mutex) == 0 else { return nil }
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try unsafe body(&value.pointee)
    }
}
