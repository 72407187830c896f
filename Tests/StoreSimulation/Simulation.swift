/// Runs seeds, and makes a failure small enough to be read.
package enum Simulation {
    package struct Outcome: Sendable {
        package var crashes: Int
        /// The failure and the shortest steps found that cause it; nil if there was none.
        package var failure: String?
    }

    /// Runs the steps of a seed.
    package static func run(seed: UInt64) -> Outcome {
        let steps = StepGenerator.steps(seed: seed)
        let store = SimulatedStore.run(steps)
        guard let fault = store.fault else { return Outcome(crashes: store.crashes) }
        let shortest = shortened(steps, keeping: fault.rule)
        return Outcome(
            crashes: store.crashes,
            failure: "seed \(seed): \(fault)\n" + describe(shortest, of: steps.count))
    }

    /// The events of a seed, step by step, in words.
    package static func trace(seed: UInt64) -> [String] {
        SimulatedStore.run(StepGenerator.steps(seed: seed), isTraced: true).trace
    }

    /// A part of the steps that breaks the same rule, and from which no step can be left out.
    package static func shortened(
        _ steps: [Step], keeping rule: String, flaw: Flaw? = nil, runs limit: Int = 3000
    ) -> [Step] {
        var steps = steps
        var left = limit
        func fails(_ candidate: [Step]) -> Bool {
            left -= 1
            return left > 0 && SimulatedStore.run(candidate, flaw: flaw).fault?.rule == rule
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
        if case .end(let end) = self { return end.simpler.map(Step.end) }
        return nested.indices.map { index in
            var step = self
            step.nested.remove(at: index)
            return step
        }
    }
}

extension End {
    fileprivate var simpler: [End] {
        var simpler: [End] = []
        func add(_ change: (inout End) -> Void) {
            var end = self
            change(&end)
            if end != self { simpler.append(end) }
        }
        add { if !$0.inRecovery.isEmpty { $0.inRecovery.removeLast() } }
        add { $0.room = nil }
        add { $0.isClosing = false }
        add { $0.operation = 0 }
        add { ($0.stagingSlots, $0.slotPages) = (2, 1) }
        add { ($0.isTight, $0.hasLargeSegments) = (false, false) }
        add { $0.shardCount = 1 }
        add { $0.snapshotAfter = nil }
        add { $0.readsAll = false }
        return simpler
    }
}
