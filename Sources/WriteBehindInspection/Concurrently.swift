import EventLog
import Foundation
import Synchronization
import WriteBehindCore
import WriteBehindSQLite

/// Does `count` independent pieces of work, `jobs` of them at a time. Returns the results.
func concurrently<Result: Sendable>(
    _ count: Int, jobs: Int, _ work: @Sendable (Int) -> Result
) -> [Result] {
    let next = Atomic<Int>(0)
    let results = Lock<[Int: Result]>([:])
    DispatchQueue.concurrentPerform(iterations: max(1, min(jobs, count))) { _ in
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            let result = work(index)
            results.withLock { $0[index] = result }
        }
    }
    let found = results.withLock { $0 }
    return (0..<count).compactMap { found[$0] }
}
