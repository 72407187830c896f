import TestSupport
import WriteBehindCore

// The events around a store: to its clock, its disk and its database.

extension SimulatedStore {
    func surround(_ step: Step) {
        switch step {
        case .wait(let milliseconds): time.advance(milliseconds: milliseconds)
        case .setClock(let seconds):
            time.jump(toWall: UInt64(Int64(Tables.start) + seconds * 1000))
        case .writeBack: disk.noteMappedBytes()
        case .failDisk(let operation, let fault):
            guard pendingEnd == nil else { return }
            isTroubled = true
            disk.fail(at: operation, with: fault)
        case .fillDisk(let spare):
            isTroubled = true
            disk.capacity = disk.usedBytes + spare
        default: disk.capacity = nil
        }
    }

    func disturbDatabase(_ step: Step) {
        switch step {
        case .failTransactions(let kind, let count):
            isTroubled = true
            database.withState { state in
                state.failures += (0..<count).map { _ in SinkError(kind, "injected") }
            }
        case .failSecondary(let kind, let count):
            isTroubled = true
            secondary.withState { state in
                state.failures += (0..<count).map { _ in SinkError(kind, "injected") }
            }
        case .deleteSecondary:
            isTroubled = true
            secondary.replace(with: nil)
        case .failRead:
            isTroubled = true
            database.withState { $0.nextReadFails = true }
        case .refuse(let row):
            // A constraint needs its table.
            guard database.content?.tables[row.table] != nil else { return }
            everRefused.insert(row)
            database.refuse { $0.insert(row) }
        case .admitAll: database.refuse { $0 = [] }
        case .backUp: backup = database.content ?? backup
        case .putBack:
            guard let backup else { return }
            isTroubled = true
            addIndices()
            database.replace(with: backup)
        default:
            isTroubled = true
            addIndices()
            database.replace(with: nil)
        }
    }
}
