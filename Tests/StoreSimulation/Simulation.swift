/// Runs seeds, and makes a failure small enough to be read.
package enum Simulation {
    package struct Outcome: Sendable {
        package var crashes: Int
        /// What went wrong and the shortest steps found that bring it about; nil if nothing did.
        package var failure: String?
    }

    /// Runs what a seed stands for.
    package static func run(seed: UInt64) -> Outcome {
        let steps = StepGenerator.steps(seed: seed)
        let store = SimulatedStore.run(steps)
        guard let fault = store.fault else { return Outcome(crashes: store.crashes) }
        let shortest = shortened(steps, keeping: fault.rule)
        return Outcome(
            crashes: store.crashes,
            failure: "seed \(seed): \(fault)\n" + describe(shortest, of: steps.count))
    }

    /// A part of the steps that breaks the same rule, and of which nothing can be left out.
    package static func shortened(
        _ steps: [Step], keeping rule: String, runs limit: Int = 3000
    ) -> [Step] {
        var steps = steps
        var left = limit
        func fails(_ candidate: [Step]) -> Bool {
            left -= 1
            return left > 0 && SimulatedStore.run(candidate).fault?.rule == rule
        }
        var isShorter = true
        while isShorter, left > 0 {
            isShorter = false
            var length = max(1, steps.count / 2)
            while length >= 1 {
                var start = 0
                while start < steps.count {
                    var candidate = steps
                    candidate.removeSubrange(start..<min(start + length, steps.count))
                    if fails(candidate) {
                        (steps, isShorter) = (candidate, true)
                    } else {
                        start += length
                    }
                }
                length /= 2
            }
            for index in steps.indices {
                for simpler in steps[index].simpler {
                    var candidate = steps
                    candidate[index] = simpler
                    if fails(candidate) {
                        (steps, isShorter) = (candidate, true)
                        break
                    }
                }
            }
        }
        return steps
    }

    private static func describe(_ steps: [Step], of count: Int) -> String {
        let store = SimulatedStore.run(steps, isTraced: true)
        let fault = store.fault.map { "\($0)" } ?? "nothing any more"
        return "\(steps.count) of its \(count) steps are enough:\n"
            + store.trace.map { "  \($0)\n" }.joined() + "  \(fault)\n"
    }
}

extension Step {
    /// The same with less in it.
    fileprivate var simpler: [Step] {
        if case .end(var end) = self {
            guard !end.inRecovery.isEmpty else { return [] }
            end.inRecovery.removeLast()
            return [.end(end)]
        }
        return nested.indices.map { index in
            var step = self
            step.nested.remove(at: index)
            return step
        }
    }
}
