public import Glibc

/// A value under a lock.
///
/// Instead of the standard library's `Mutex`, for two reasons. On Linux that one is handed to the thread that
/// waits longest, so under contention each passage costs a switch between two threads; this one goes to a thread
/// that runs. And the thread sanitizer supports this one. Lock and value have cache lines of their own.
///
/// It is public since only what is public can be inlined elsewhere; no product exports this module.
///
/// `@unchecked Sendable`: the value is reached only with the lock held, both live as long as this does, and
/// neither moves.
@safe public struct Lock<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let value: UnsafeMutablePointer<Value>

    public init(_ initial: consuming sending Value) {
        let line = 64
        let offset = max(line, MemoryLayout<Value>.alignment)
        // Not the size: a value of none would have the address of what lies behind.
        let size = (offset + MemoryLayout<Value>.stride + line - 1) / line * line
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: offset)
        unsafe mutex = memory.bindMemory(to: pthread_mutex_t.self, capacity: 1)
        unsafe value = (memory + offset).bindMemory(to: Value.self, capacity: 1)
        var attributes = pthread_mutexattr_t()
        unsafe pthread_mutexattr_init(&attributes)
        // Locks are held for some 100 ns: looking again is cheaper than being put to sleep and woken.
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

    /// Runs `body` with the lock held. Not to be called from within itself.
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
