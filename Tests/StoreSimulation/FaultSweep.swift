import EventLog
package import TestSupport
import WriteBehindCore

/// Fails the n-th disk operation on a path through the store, and checks what is left.
///
/// The path is walked on a copy of one prepared state. While the disk fails, calls may throw, but only
/// the library's own errors, and what can be read must be right. Then the disk works again, the store
/// ends, and the next life must hold everything that was acknowledged and bring it to the database.
package struct FaultSweep {
    package let path: FaultPath
    private let base: SimulatedStore
    /// How many operations the path has when none fails.
    package private(set) var operationCount = 0

    package struct Disturbance: Sendable, CustomStringConvertible {
        package var operation: Int
        package var fault: Fault
        package var isPermanent: Bool
        package var end: End.Kind

        package init(operation: Int, fault: Fault, isPermanent: Bool, end: End.Kind) {
            (self.operation, self.fault) = (operation, fault)
            (self.isPermanent, self.end) = (isPermanent, end)
        }

        package var description: String {
            "operation \(operation): \(fault)\(isPermanent ? " for good" : ""), then \(end.rawValue)"
        }
    }

    package init(_ path: FaultPath) throws(SimulatedStore.Fault) {
        for salt in 0..<50 as Range<UInt64> {
            if let sweep = try Self(path, salt: salt) {
                self = sweep
                return
            }
        }
        throw SimulatedStore.Fault(rule: "path", detail: "it was never walked")
    }

    /// Nil if this salt leads to another path than the named one.
    private init?(_ path: FaultPath, salt: UInt64) throws(SimulatedStore.Fault) {
        self.path = path
        base = SimulatedStore.prepared(
            path.preparation(salt: salt), segmentSize: path.segmentSize)
        if let fault = base.fault { throw fault }
        let store = begin()
        let before = Set(store.disk.allFiles)
        let start = store.disk.operationCount
        store.walk(path)
        operationCount = store.disk.operationCount - start
        let after = Set(store.disk.allFiles)
        store.endAndComeToRest(.kill)
        if let fault = store.fault { throw fault }
        let isWalked = path.isWalked(
            created: after.subtracting(before), removed: before.subtracting(after))
        guard isWalked, operationCount > 0 else { return nil }
    }

    private func begin() -> SimulatedStore {
        let store = base.copy()
        if !path.isOpening { store.reopen(after: End(kind: .kill, salt: 11, readsAll: false)) }
        return store
    }

    /// The failure; nil if there was none.
    package func run(_ disturbance: Disturbance) -> SimulatedStore.Fault? {
        let store = begin()
        store.isTroubled = true
        store.disk.fail(
            at: disturbance.operation, with: disturbance.fault,
            permanently: disturbance.isPermanent)
        store.walk(path)
        // Reads are right even if the disk fails.
        if store.engine != nil { store.checkReads() }
        if disturbance.end == .close { store.goOnOnHealthyDisk() }
        store.endAndComeToRest(disturbance.end)
        return store.fault
    }
}

extension SimulatedStore {
    fileprivate func walk(_ path: FaultPath) {
        if path.isOpening {
            check { try open(End(kind: .kill, salt: 0), salt: 12) }
        }
        for step in path.steps where fault == nil { play(step) }
        if path == .closing { check { try close() } }
    }

    /// Checks that the store goes on without being opened again, unless a sync has failed. If the log could not be closed,
    /// closes it again.
    fileprivate func goOnOnHealthyDisk() {
        disk.stopFailing()
        if case .closed? = engine?.log.refusal { check { try engine?.log.close() } }
        catchUp()
        guard fault == nil, let store else { return }
        let log = store.engine.log
        if case .poisoned? = log.refusal { return }
        let reached = min(log.readable, store.materializer.watermark.sequence)
        if reached < log.lastSequence {
            let refusal = log.refusal.map { ": \($0)" } ?? ""
            fail("stuck", "at \(reached) of \(log.lastSequence)\(refusal)")
        }
    }

    fileprivate func endAndComeToRest(_ kind: End.Kind) {
        guard fault == nil else { return }
        finish(End(kind: kind, salt: 13))
        if fault == nil { comeToRest() }
    }
}
