import ArgumentParser
import Foundation
import StoreSimulation

/// The store on a simulated disk, seed after seed: the long form of the simulation in the tests.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Crash a simulated store between any two steps, and inside them.",
        usage: "crashtest simulate [<options>]",
        discussion: """
            Each seed makes up to 200 steps of callers, workers, clock, disk,
            database and operator on a store in memory, with crashes among them, and is
            checked against a model after each. When a promise is broken, the seed and
            the shortest steps that break it are printed, and the exit code is 1.

            EXAMPLES
              crashtest simulate                           10,000 seeds, a random one first
              crashtest simulate --seconds 600             as many as that takes
              crashtest simulate --count 1000000 --seed 0  the long form
              crashtest simulate --count 1 --seed 4711     one seed again
            """)

    @Option(help: "How many seeds. (default: 10000, with --seconds no limit)")
    var count: Int?

    @Flag(help: "Print what happens, step by step.")
    var trace = false

    @OptionGroup var options: RunOptions

    private var seed: UInt64 { options.seed }

    func run() throws {
        let start = Date()
        var crashes = 0
        var seeds = 0
        let (limit, end) = (options.limit(count, else: 10_000), options.end)
        while seeds < limit, Date() < end {
            if trace { Simulation.trace(seed: seed &+ UInt64(seeds)).forEach(say) }
            let outcome = Simulation.run(seed: seed &+ UInt64(seeds))
            crashes += outcome.crashes
            seeds += 1
            if let failure = outcome.failure {
                say(failure)
                throw ExitCode.failure
            }
            if seeds % 1000 == 0 { report(seeds, crashes, since: start) }
        }
        if seeds % 1000 != 0 { report(seeds, crashes, since: start) }
    }

    private func report(_ seeds: Int, _ crashes: Int, since start: Date) {
        let seconds = Date().timeIntervalSince(start)
        let rate = Int(Double(crashes) / max(seconds, 0.001))
        say(
            "seeds \(seed)..<\(seed &+ UInt64(seeds)): \(crashes) crashes in "
                + "\(seconds.formatted(.number.precision(.fractionLength(1)))) s, \(rate) a second")
    }
}
