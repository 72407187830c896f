import EventLog
import Foundation
import Glibc
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

/// Threads that are not to be had.
private final class ThreadLimit: Sendable {
    private let left = Locked<Int?>(nil)

    /// How many threads can still be started; nil is no limit.
    func set(_ count: Int?) { left.withLock { $0 = count } }

    func start(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(NoThread) {
        let isToBeHad = left.withLock { left in
            guard let count = left else { return true }
            left = max(0, count - 1)
            return count > 0
        }
        guard isToBeHad else { throw NoThread(name: name, code: EAGAIN) }
        try NamedThread.start(named: name, body)
    }
}

/// A store where a machine or a process has no threads, or no memory, left.
@Suite struct ResourceTests {
    private func open(_ path: String, _ limit: ThreadLimit) throws -> Store {
        var environment = StoreEnvironment.machine(readers: 2)
        environment.startThread = { (name, body) throws(NoThread) in try limit.start(name, body) }
        return try Store(
            at: path, configuration: StoreConfiguration(), environment: environment)
    }

    private func isNoResources(_ error: StoreError?) -> Bool {
        if case .noResources = error { true } else { false }
    }

    @Test(arguments: 0..<5) func openingWithoutAllOfItsThreadsThrowsAndLeavesNothingOpen(
        count: Int
    ) async throws {
        let directory = TemporaryStore()
        let limit = ThreadLimit()
        limit.set(count)
        let error = await storeError { _ = try open(directory.path, limit) }
        #expect(isNoResources(error), "\(String(describing: error))")
        limit.set(nil)
        let store = try open(directory.path, limit)
        try await store.close(deadline: .hang)
    }

    @Test func closingNeedsNoThreadThatMayNotBeThere() async throws {
        let directory = TemporaryStore()
        let limit = ThreadLimit()
        let store = try open(directory.path, limit)
        let values = try store.keyValues()
        let receipt = try values.put(KeyValue(key: "a", value: [1]))
        limit.set(0)
        let report = try await store.close(deadline: .hang)
        #expect(report.durable >= receipt.sequence)
        #expect(await storeError { try values.put(KeyValue(key: "b", value: [2])) } != nil)
    }

    @Test func aWorkerThatGetsNoThreadIsToldAndTriedAgain() async throws {
        let limit = ThreadLimit()
        limit.set(0)
        let startThread: StartThread = { (name, body) throws(NoThread) in
            try limit.start(name, body)
        }
        let worker = Worker("late", signal: Signal(), startThread: startThread) {
            .wait(nanoseconds: nil)
        }
        #expect(worker.start() != nil)
        #expect(worker.death?.contains("no thread") == true)
        worker.stop()  // Does not wait for what does not run.
        let other = Worker("later", signal: Signal()) { .wait(nanoseconds: nil) }
        #expect(other.start() == nil && other.death == nil)
        #expect(other.perform { other.stop() }, "it ends itself, and waits for itself not")
        #expect(await eventually { other.heartbeat.beats >= 0 && !other.perform {} })
    }

    @Test func whatRunsAlongsideRunsAfterwardsWhereThereIsNoThread() {
        let order = Locked<[String]>([])
        let none: StartThread = { (name, _) throws(NoThread) in
            throw NoThread(name: name, code: EAGAIN)
        }
        Worker.alongside(
            none, { order.withLock { $0.append("other") } },
            { order.withLock { $0.append("body") } })
        #expect(order.withLock { $0 } == ["body", "other"])
    }

    /// The machine's own limit, as `ulimit -u` sets it; it does not hold for root.
    @Test(.enabled(if: getuid() == 0))
    func aUserWithoutThreadsGetsAnErrorAndAStoreThatIsOpenCloses() async {
        await #expect(processExitsWith: .success) {
            let directory = TemporaryStore()
            try FileManager.default.createDirectory(
                atPath: directory.path, withIntermediateDirectories: true)
            let user: uid_t = 61_234
            #expect(chown(directory.path, user, user) == 0)
            #expect(setgid(user) == 0 && setuid(user) == 0)
            let store = try await Store(at: directory.path)
            let values = try store.keyValues()
            try values.put(KeyValue(key: "a", value: [1]))
            var none = rlimit(rlim_cur: 0, rlim_max: 0)
            #expect(setrlimit(__rlimit_resource_t(__RLIMIT_NPROC.rawValue), &none) == 0)
            try await store.close(deadline: .seconds(10))
            let error = await storeError { _ = try await Store(at: directory.path) }
            guard case .noResources = error else {
                fatalError("opening without threads: \(String(describing: error))")
            }
        }
    }

    /// `ulimit -v`, at many sizes beyond what the process has: it works, or an error says what is missing.
    @Test(arguments: [100, 300, 500, 800, 1200, 2000, 4000, 8000, 16_000, 40_000])
    func withLittleAddressSpaceAStoreWorksOrSaysWhatIsMissing(megabytes: Int) async {
        await #expect(processExitsWith: .success) { [megabytes] in
            let directory = TemporaryStore()
            try ResourceLimit.address.set(beyondUse: megabytes << 20)
            do {
                let store = try await Store(at: directory.path)
                let values = try store.keyValues()
                for number in 0..<20_000 {
                    try values.put(KeyValue(key: "\(number)", value: [1, 2, 3]))
                }
                try await store.waitForAll(.materialized, timeout: .seconds(120))
                try await store.close(deadline: .hang)
            } catch StoreError.noResources(let what) {
                guard what.contains("memory") || what.contains("thread"), megabytes < 2000 else {
                    fatalError("with \(megabytes) MB: \(what)")
                }
            }
        }
    }

    /// As under `vm.overcommit_memory=2`: memory that was reserved is refused when it is to be used.
    @Test func whereMemoryIsRefusedLaterWritesAreRefusedAndNothingElse() async {
        await #expect(processExitsWith: .success) {
            let view = try CacheView(
                limit: 512 << 20, dirtyLimit: 384 << 20, watermark: 0, seed: 1)
            try ResourceLimit.data.set(beyondUse: 200 << 20)
            let row = [UInt8](repeating: 1, count: 4000)
            let cost = Shard.cost(keyLength: 8, bodyLength: row.count)
            var (refused, lacksMemory) = (0, false)
            for number in 0..<200_000 as Range<UInt64> {
                var key: [UInt8] = []
                key.append(integer: number)
                let hash = view.hash(table: 1, key: key.span)
                view.withShard(of: hash) { shard in
                    if shard.admits(cost, largest: cost) {
                        shard.put(hash, 1, key.span, row.span, sequence: number + 1)
                    } else {
                        refused += 1
                        lacksMemory = lacksMemory || shard.lacksMemory
                    }
                }
                if refused > 1000 { break }
            }
            guard refused > 0, lacksMemory, view.statistics().rows > 1000 else {
                fatalError("\(refused) refused of \(view.statistics())")
            }
        }
    }
}

/// A limit of this process, for the rest of its life.
enum ResourceLimit {
    case address
    case data

    func set(beyondUse byteCount: Int) throws {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let name = self == .address ? "VmSize:" : "VmData:"
        let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
        let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let value = rlim_t(kilobytes * 1024 + byteCount)
        var limit = rlimit(rlim_cur: value, rlim_max: value)
        let resource = self == .address ? RLIMIT_AS : RLIMIT_DATA
        guard setrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else {
            throw CocoaError(.fileReadUnknown)
        }
    }
}
