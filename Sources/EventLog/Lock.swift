public import Glibc

/// A value under a lock, for the places where all writing threads meet.
///
/// Beside the standard library's `Mutex`, which is for everything else: on Linux that one is handed to the
/// thread that waits longest, so where threads crowd, each passage costs a switch between two of them. This
/// one goes to whoever runs. Lock and value have cache lines of their own.
///
/// `@unchecked Sendable`: the value is reached only with the lock held, both live as long as this does, and
/// neither moves.
@safe public struct Lock<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let value: UnsafeMutablePointer<Value>

    public init(_ initial: consuming Value) {
        let line = 64
        let offset = max(line, MemoryLayout<Value>.alignment)
        let size = (offset + MemoryLayout<Value>.size + line - 1) / line * line
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: offset)
        unsafe mutex = memory.bindMemory(to: pthread_mutex_t.self, capacity: 1)
        unsafe value = (memory + offset).bindMemory(to: Value.self, capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
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
        _ body: (inout Value) throws(E) -> R
    ) throws(E) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try unsafe body(&value.pointee)
    }
}
