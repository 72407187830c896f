import Foundation
import Glibc
import StoreSimulation
import TestSupport
import Testing

/// Every operation of the disk fails, on every path through the store: once and for good, with each error, and
/// then the process dies, power is lost or the store is closed.
///
/// In the normal run every so many of these; with `EXHAUSTIVE` set in the environment, all.
@Suite struct StoreFaultTests {
    private static let faults: [Fault] = [
        .errno(EIO), .errno(ENOSPC), .errno(EINTR), .errno(EMFILE), .shortWrite(ENOSPC),
        .shortWrite(EIO),
    ]

    private static let isExhaustive =
        ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil

    private static func disturbances(_ operationCount: Int) -> [FaultSweep.Disturbance] {
        var all: [FaultSweep.Disturbance] = []
        for operation in 1...operationCount {
            for fault in faults {
                for isPermanent in [false, true] {
                    for end in [End.Kind.kill, .powerLoss, .close] {
                        all.append(
                            .init(
                                operation: operation, fault: fault, isPermanent: isPermanent,
                                end: end))
                    }
                }
            }
        }
        // A step that is prime to the 36 ways of one operation, so that all of them come up.
        return isExhaustive ? all : stride(from: 0, to: all.count, by: 185).map { all[$0] }
    }

    @Test(arguments: FaultPath.allCases)
    func noOperationThatFailsLosesWhatWasAcknowledged(path: FaultPath) async throws {
        let found = try await onThreadOfItsOwn { () -> Result<[String], any Error> in
            Result {
                let sweep = try FaultSweep(path)
                let disturbances = Self.disturbances(sweep.operationCount)
                if Self.isExhaustive {
                    print(path.rawValue, "\(sweep.operationCount) operations", separator: ": ")
                }
                return disturbances.compactMap { disturbance in
                    sweep.run(disturbance).map { "\(disturbance): \($0)" }
                }
            }
        }.get()
        #expect(found.isEmpty, "\(path.rawValue): \(found.prefix(10).joined(separator: "\n"))")
    }
}
