/// The demo's claims, and whether they held.
struct Checks {
    private let screen: Screen
    private(set) var count = 0
    private(set) var failures: [String] = []

    init(_ screen: Screen) { self.screen = screen }

    /// Shows a claim with its verdict.
    mutating func check(_ isGood: Bool, _ claim: String) {
        count += 1
        screen.line("  \(screen.mark(isGood)) \(claim)")
        if !isGood { failures.append(claim) }
    }
}
