/// The finding that something acknowledged is missing, or that something is there that must not be.
struct Loss: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// The rows that must be in a store, and those that were found.
struct Ledger {
    let seed: UInt64
    private(set) var acknowledged = 0
    /// Writes that survived although the process ended before it acknowledged them.
    private(set) var surplus = 0
    private var model = Model()
    /// Which build of the projection the store has; nil until it was read.
    var build: String?

    init(seed: UInt64) { self.seed = seed }

    mutating func beginStore() { (model, build) = (Model(), nil) }

    /// Compares the rows found with the report: each thread's rows must be those after its acknowledged
    /// writes up to `end`, where the log ends, or those after one more write, which was under way.
    mutating func settle(
        _ report: Report, round: Int, found: Model, end: UInt64
    ) throws {
        for thread in 0..<Load.threadCount {
            var load = Load(seed: seed, round: round, thread: thread)
            let kept = report.sequences[thread].prefix { $0 <= end }
            for _ in kept { model.apply(load.next()) }
            acknowledged += kept.count
            let part = found.part(of: thread)
            let expected = model.part(of: thread)
            if part == expected { continue }
            // Only the write that was not answered may be there as well.
            if kept.count == report.sequences[thread].count {
                model.apply(load.next())
                surplus += 1
                if part == model.part(of: thread) { continue }
            }
            throw Loss(
                "thread \(thread), after \(kept.count) acknowledged writes up to sequence \(end): "
                    + part.difference(from: expected))
        }
    }
}
