import DequeModule
import EventLog

/// Tasks that wait until a sequence is reached; there may be thousands at once.
///
/// A caller does not suspend if the sequence is already reached. A cancelled task leaves
/// at once; its place in the order stays empty for a while.
package final class WaitList: Sendable {
    private struct Waiter {
        var sequence: UInt64
        var id: UInt64
    }

    private struct State {
        var reached: UInt64
        var failure: StoreError?
        /// Why nothing can be reached at present; nil again once something is reached.
        var trouble: StoreError?
        var nextID: UInt64 = 0
        /// Ascending by sequence.
        var order: Deque<Waiter> = []
        var continuations: [UInt64: CheckedContinuation<Result<Void, StoreError>, Never>] = [:]

        /// Drops empty places when they are the majority; otherwise waiters with timeouts would grow the list forever.
        mutating func dropEmptyPlaces() {
            guard order.count > 2 * continuations.count + 1024 else { return }
            order.removeAll { continuations[$0.id] == nil }
        }
    }

    private let state: Lock<State>

    package init(reached: UInt64) {
        state = Lock(State(reached: reached))
    }

    package var reached: UInt64 { state.withLock { $0.reached } }

    /// Whether a caller that waits for `sequence` would get an answer at once.
    package func isDecided(_ sequence: UInt64) -> Bool {
        state.withLock { $0.reached >= sequence || $0.failure != nil || $0.trouble != nil }
    }

    /// How many tasks wait.
    package var count: Int { state.withLock { $0.continuations.count } }

    /// Suspends until `sequence` is reached, the list fails or the task is cancelled.
    package func wait(for sequence: UInt64) async throws(StoreError) {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                enter(continuation, id: id, sequence: sequence)
            }
        } onCancel: {
            let continuation = state.withLock { state in
                let continuation = state.continuations.removeValue(forKey: id)
                state.dropEmptyPlaces()
                return continuation
            }
            continuation?.resume(returning: .failure(.cancelled))
        }
        try result.get()
    }

    private func enter(
        _ continuation: CheckedContinuation<Result<Void, StoreError>, Never>, id: UInt64,
        sequence: UInt64
    ) {
        // nil if the task must wait.
        let answer = state.withLock { state -> Result<Void, StoreError>? in
            if state.reached >= sequence { return .success(()) }
            if let failure = state.failure ?? state.trouble { return .failure(failure) }
            // A cancellation before this point found no continuation to resume.
            if Task.isCancelled { return .failure(.cancelled) }
            state.continuations[id] = continuation
            let waiter = Waiter(sequence: sequence, id: id)
            var index = state.order.count
            while index > 0, state.order[index - 1].sequence > sequence { index -= 1 }
            state.order.insert(waiter, at: index)
            return nil
        }
        if let answer { continuation.resume(returning: answer) }
    }

    /// Everything through `sequence` is reached: resumes the callers that wait for it.
    package func advance(to sequence: UInt64) {
        let ready = state.withLock {
            state -> [CheckedContinuation<Result<Void, StoreError>, Never>] in
            state.trouble = nil
            guard sequence > state.reached else { return [] }
            state.reached = sequence
            var ready: [CheckedContinuation<Result<Void, StoreError>, Never>] = []
            while let first = state.order.first, first.sequence <= sequence {
                state.order.removeFirst()
                if let waiter = state.continuations.removeValue(forKey: first.id) {
                    ready.append(waiter)
                }
            }
            return ready
        }
        for continuation in ready { continuation.resume(returning: .success(())) }
    }

    /// Nothing counts as reached any more, until ``advance(to:)`` is called.
    package func startOver() {
        state.withLock { $0.reached = 0 }
    }

    /// Nothing more will be reached: all callers that wait now or later get the error.
    package func fail(_ error: StoreError) {
        resumeAll(throwing: error) { $0.failure = error }
    }

    /// Nothing can be reached for now: all callers that wait get the error, and so do those that come before ``advance(to:)``
    /// is called again.
    package func interrupt(_ error: StoreError) {
        resumeAll(throwing: error) { $0.trouble = error }
    }

    private func resumeAll(throwing error: StoreError, _ note: (inout State) -> Void) {
        let waiting = state.withLock { state in
            note(&state)
            state.order.removeAll()
            defer { state.continuations.removeAll() }
            return Array(state.continuations.values)
        }
        for continuation in waiting { continuation.resume(returning: .failure(error)) }
    }
}

/// Runs `body`, and cancels it after a time. Returns whether it ended before that.
package func within(
    _ timeout: Duration, _ body: @escaping @Sendable () async throws(StoreError) -> Void
) async throws(StoreError) -> Bool {
    // A group loses the type of an error, so each task returns its outcome as a value.
    let outcome = await withTaskGroup(of: Result<Bool, StoreError>.self) { group in
        group.addTask {
            do throws(StoreError) {
                try await body()
                return .success(true)
            } catch {
                return .failure(error)
            }
        }
        group.addTask {
            do {
                try await Task.sleep(for: timeout)
                return .success(false)
            } catch {
                return .failure(.cancelled)
            }
        }
        defer { group.cancelAll() }
        // Two tasks were added, so one of them ends first.
        return await group.next()!
    }
    return try outcome.get()
}
