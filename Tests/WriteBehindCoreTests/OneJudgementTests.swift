import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindInspection

/// `verify`, `status`, `recover`, salvage and opening say the same of every damage, and what the plan says is what
/// opening does.
///
/// In the normal run about 300 images of each store; with `EXHAUSTIVE` set in the environment, every byte of it.
@Suite struct OneJudgementTests {
    /// How the store was left before it was damaged.
    enum Left: CaseIterable, Sendable {
        /// Several segments, all sealed.
        case closed
        /// Staging still holds the commits of the last blocks.
        case killed
        /// Staging holds commits that no block holds.
        case killedWithStaged
        /// Slots are empty, as after power loss.
        case powerless
    }

    private static let isExhaustive = ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil

    private static func made(_ left: Left) throws -> PastHarness {
        let harness = PastHarness(seed: 11)
        harness.options.slotSize = 1024
        harness.options.blockSize = 200
        harness.options.rawBlockBound = 1024
        harness.options.segmentSize = 1200
        try harness.open()
        try harness.writeIdentity()
        try harness.define()
        for _ in 0..<5 {
            for _ in 0..<4 { try harness.appendRandom() }
            harness.makeDurable()
        }
        switch left {
        case .closed: try harness.close()
        case .killed: harness.crash(.process)
        case .killedWithStaged:
            for _ in 0..<3 { try harness.appendRandom() }
            harness.crash(.process)
        case .powerless:
            harness.crash(.process)
            let path = PastHarness.layout.staging
            let bytes = try #require(harness.disk.readAll(path))
            let zeros = [UInt8](repeating: 0, count: bytes.count - StagingHeader.byteCount)
            try harness.disk.overwrite(path, bytes.prefix(StagingHeader.byteCount) + zeros)
        }
        return harness
    }

    /// A disk after a fault, and the fault in words.
    private typealias Image = (disk: SimulatedDisk, what: String)

    private static func forEachImage(
        of harness: PastHarness, _ body: (Image) async throws -> Void
    ) async throws {
        let layout = PastHarness.layout
        let segments = harness.segments.map(layout.segment)
        for path in segments + [layout.staging, layout.cleanEnd] {
            guard let bytes = harness.disk.readAll(path) else { continue }
            func image(
                _ what: String, _ change: (SimulatedDisk) throws -> Void
            ) async throws {
                let disk = harness.disk.snapshot()
                try change(disk)
                try await body((disk, "\(path) \(what)"))
            }
            try await image("removed") { try $0.erase(path) }
            let step = isExhaustive ? 1 : max(1, bytes.count / 40) | 1
            for offset in stride(from: 0, to: bytes.count, by: step)
            where isExhaustive || bytes[offset] != 0 || offset % 5 == 0 {
                try await image("cut to \(offset)") {
                    try $0.overwrite(path, Array(bytes.prefix(offset)))
                }
                try await image("flipped at \(offset)") {
                    try $0.flip(path, at: offset, mask: 0x81)
                }
            }
            try await image("with bytes behind it") {
                try $0.overwrite(path, bytes + [UInt8](repeating: 0x57, count: 100))
            }
        }
    }

    @Test(arguments: Left.allCases)
    func whatIsSaidOfADamageIsWhatOpeningMakesOfIt(left: Left) async throws {
        let harness = try Self.made(left)
        var count = 0
        try await Self.forEachImage(of: harness) { image in
            count += 1
            // A store to salvage into takes longer than all the rest.
            let comparison = Comparison(
                image.disk, salvages: Self.isExhaustive || count % 10 == 0)
            do {
                try await comparison.run()
            } catch {
                comparison.note("\(error)")
            }
            for fault in comparison.faults { Issue.record("\(left), \(image.what): \(fault)") }
        }
        #expect(count > 100)
    }

    @Test(arguments: [Left.killed, .killedWithStaged])
    func aLastSegmentThatStagingHoldsWhollyIsTakenFromIt(left: Left) throws {
        let harness = try Self.made(left)
        let last = PastHarness.layout.segment(try #require(harness.segments.last))
        try harness.disk.erase(last)
        let inspection = try StoreInspection(path: PastHarness.layout.root, disk: harness.disk)
        let plan = try RecoveryPlan(inspection, jobs: 1, progress: { _ in }, differs: { _, _ in })
        #expect(plan.isRepairable && inspection.end == harness.last)
        #expect(inspection.durable > inspection.readable)
        guard case .log(.takeStaged(_, harness.last)) = plan.steps.first else {
            Issue.record("\(plan.steps)")
            return
        }
    }

    @Test func aDamagedBlockThatStagingStillHoldsCostsNothing() throws {
        let harness = try Self.made(.killed)
        let segment = PastHarness.layout.segment(try #require(harness.segments.last))
        let bytes = try #require(harness.disk.readAll(segment))
        try harness.disk.flip(segment, at: bytes.count - 5, mask: 1)
        let inspection = try StoreInspection(path: PastHarness.layout.root, disk: harness.disk)
        let verification = try LogVerification(inspection)
        #expect(verification.findings.map(\.severity) == [.warning])
        #expect(verification.findings.allSatisfy { $0.lost == nil })
        #expect(!inspection.isTorn)
        #expect(inspection.end == harness.last)
    }
}

extension PastHarness {
    /// Writes the `store.json` that belongs to the log.
    func writeIdentity() throws {
        var identity = StoreIdentity(random: (1, 2), created: 0)
        identity.uuid = unsafe Self.storeID.bytes.withUnsafeBytes {
            unsafe $0.loadUnaligned(as: UUID.self)
        }
        try identity.write(Self.layout, on: disk)
    }
}

/// One state of a disk, as the tool judges it and as opening does.
private final class Comparison {
    private let disk: SimulatedDisk
    private(set) var faults: [String] = []

    private let salvages: Bool

    init(_ disk: SimulatedDisk, salvages: Bool) {
        self.disk = disk
        self.salvages = salvages
    }

    func note(_ fault: String) { faults.append(fault) }

    private func expect(_ condition: Bool, _ fault: @autoclosure () -> String) {
        if !condition { note(fault()) }
    }

    /// Opening, on a copy of the disk.
    private struct Opening {
        var harness: PastHarness
        var recovery: RecoveryReport
        var end: UInt64
        /// The result of reading all of it.
        var damage: Corruption?
    }

    private func opened() throws -> Opening {
        let harness = PastHarness(seed: 5, disk: disk.snapshot())
        let log = try harness.open()
        var opening = Opening(
            harness: harness, recovery: log.recovery, end: log.lastSequence,
            damage: log.recovery.corruption)
        do throws(LogError) {
            let reader = try LogReader(log.environment, from: try first(log))
            while try reader.next(through: log.readable) {}
        } catch {
            guard case .corrupt(let corruption) = error else { throw error }
            opening.damage = opening.damage ?? corruption
        }
        return opening
    }

    private func first(_ log: Log) throws(LogError) -> UInt64 {
        try LogReader.segmentBases(log.environment).first ?? 1
    }

    func run() async throws {
        let opening: Opening
        do {
            opening = try opened()
        } catch LogError.unsupported {
            #expect(throws: LogError.self) { try LogVerification(self.inspection(self.disk)) }
            return
        }
        let inspection = try inspection(disk)
        let plan = try RecoveryPlan(inspection, jobs: 1, progress: { _ in }, differs: { _, _ in })
        let isDamaged = opening.damage != nil
        expect(
            inspection.damage == opening.recovery.corruption,
            "inspected: \(inspection.damage as Any), opened: \(opening.recovery.corruption as Any)")
        expect(
            (plan.log.worst == .corrupt) == isDamaged && plan.isRepairable != isDamaged,
            "found \(plan.log.findings), opening: \(opening.damage as Any)")
        expect(
            inspection.isTorn == (plan.log.worst == .torn),
            "status says torn: \(inspection.isTorn), verify \(plan.log.findings)")
        for finding in plan.log.findings where finding.severity == .warning {
            expect(finding.lost == nil, "a warning that loses something: \(finding)")
        }
        expect(
            inspection.durable <= max(inspection.end, inspection.readable),
            "durable is \(inspection.durable), and all ends at \(inspection.end)")
        let places = plan.log.findings.map { "\($0.path) at \($0.offset ?? -1): \($0.reason)" }
        expect(Set(places).count == places.count, "told twice: \(places)")
        if isDamaged {
            if salvages { try await compareSalvage(inspection, plan) }
        } else {
            try compareRepair(inspection, plan, opening)
        }
    }

    private func inspection(_ disk: SimulatedDisk) throws -> StoreInspection {
        try StoreInspection(path: PastHarness.layout.root, disk: disk)
    }

    private func compareRepair(
        _ inspection: StoreInspection, _ plan: RecoveryPlan, _ opening: Opening
    ) throws {
        expect(inspection.end == opening.end, "ends at \(inspection.end), opened \(opening.end)")
        for range in plan.lost.map(\.sequences) {
            expect(range.lowerBound > opening.end, "\(range) is said to be lost and is there")
        }
        var (cut, taken, kept) = (0, 0, 0)
        for case .log(let step) in plan.steps {
            switch step {
            case .cutTail(_, _, let bytes): (cut, kept) = (bytes, kept + 1)
            case .cutStaged, .removeUnmade, .keepStaging: kept += 1
            case .takeStaged(let commits, _): taken = commits
            case .removeTemporary, .removeMerged, .rewrite: break
            }
        }
        let done = opening.recovery
        expect(
            (cut, taken, kept) == (done.tornBytes, done.commitsFromStaging, done.cutOff.count),
            "planned \(plan.steps), done \(done)")
        // Nothing is left to find, and nothing to do.
        try opening.harness.close()
        let after = try RecoveryPlan(
            try self.inspection(opening.harness.disk), jobs: 1, progress: { _ in },
            differs: { _, _ in })
        // Warnings of sealed segments remain: opening rewrites none of those.
        expect(
            after.log.findings.allSatisfy {
                $0.severity == .warning && plan.log.findings.contains($0)
            }, "after opening: \(after.log.findings)")
        let left = after.steps.filter { if case .log = $0 { true } else { false } }
        expect(left.isEmpty, "after opening: \(left)")
    }

    /// The sequences that are said to be lost are those that salvage does not find.
    private func compareSalvage(
        _ inspection: StoreInspection, _ plan: RecoveryPlan
    ) async throws {
        let target = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: target) }
        let store = try NewStore(at: target)
        let result = try Salvage.run(inspection, into: store) { _ in }
        try await store.close()
        let (said, missed) = (
            Set(plan.lost.map(\.sequences).joined()), Set(result.lost.map(\.sequences).joined())
        )
        expect(
            said == missed,
            "said to be lost \(plan.lost), salvage misses \(result.lost): \(plan.log.findings)")
    }
}
