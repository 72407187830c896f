import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// Writes a replay into a new store. It is made under a temporary name and renamed once it is
/// closed.
struct StoreReplay {
    private let replay: Replay

    init(_ replay: Replay) {
        self.replay = replay
    }

    /// - Returns: how many rows.
    func write(_ path: String, _ bar: ProgressBar) async throws -> Int {
        let temporary = path + ".tmp"
        try NewFile.refuseExisting(temporary)
        do {
            let count = try await fill(temporary, bar)
            try FileManager.default.moveItem(atPath: temporary, toPath: path)
            return count
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw error
        }
    }

    private func fill(_ path: String, _ bar: ProgressBar) async throws -> Int {
        let interrupts = Interrupts()
        let store = try NewStore(at: path)
        var numbers: [UInt32: UInt32] = [:]
        for table in replay.tables {
            numbers[table.id] = try store.define(table.schema, time: replay.storeCreated)
        }
        var count = 0
        while let row = try replay.next() {
            guard let table = numbers[row.table] else { continue }
            try store.put(table, key: row.key, body: row.body, time: row.row.time)
            count += 1
            if count.isMultiple(of: 1024) {
                bar.advance(to: count)
                if interrupts.wasInterrupted { throw Interrupted() }
            }
        }
        try await store.close()
        return count
    }
}
