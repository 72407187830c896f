import Foundation
import Fuzzing
import Testing

/// No decoder traps on bytes behind right checksums, and what it accepts it holds on to. `tools/fuzz/run`
/// looks for more such bytes; its findings are kept in `Fuzzed/TARGET/` for ever.
@Suite struct FuzzTests {
    private static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appendingPathComponent("Fuzzed")

    @Test(arguments: FuzzTarget.allCases)
    func whatAStoreWritesIsAccepted(target: FuzzTarget) throws {
        for seed in try target.seeds() { #expect(try target.run(seed)) }
    }

    @Test(arguments: FuzzTarget.allCases)
    func noChangeOfWhatAStoreWritesTrapsOrIsMisread(target: FuzzTarget) async throws {
        let seeds = try target.seeds()
        let count = repeats(target.isWholeLog ? 1000 : 3000)
        let outcomes = await onThreadOfItsOwn {
            (0..<UInt64(count)).map { seed in
                var mutation = Mutation(seed: seed)
                return Result { try target.run(mutation.mutant(of: seeds)) }
            }
        }
        var accepted = 0
        for (seed, outcome) in outcomes.enumerated() {
            do {
                if try outcome.get() { accepted += 1 }
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
        // Else nothing but the outermost checks was tried.
        #expect(accepted > count / 100, "\(accepted) of \(count) were accepted")
    }

    @Test(arguments: FuzzTarget.allCases)
    func whatAFuzzerFoundStaysHarmless(target: FuzzTarget) throws {
        let folder = Self.directory.appendingPathComponent(target.rawValue)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names.sorted() {
            let bytes = try Data(contentsOf: folder.appendingPathComponent(name))
            #expect(throws: Never.self, "\(name)") { try target.run([UInt8](bytes)) }
        }
    }

    @Test func everyFileThatAFuzzerFoundHasATarget() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.directory.path)
        #expect(!names.isEmpty)
        for name in names { #expect(FuzzTarget(rawValue: name) != nil, "\(name)") }
    }
}

extension FuzzTarget {
    /// Opens a whole log each time, which takes longer.
    fileprivate var isWholeLog: Bool { [.segment, .payload, .staging].contains(self) }
}
