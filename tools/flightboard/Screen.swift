import EventLog
import Foundation

/// The user's view: lines on standard output, a progress bar on standard error.
///
/// Colour and the progress bar are used only on a terminal.
final class Screen: Sendable {
    private let isColoured: Bool
    private let showsProgress: Bool
    /// When the progress bar was last drawn.
    private let drawn = Lock(ContinuousClock.now - .seconds(1))

    init() {
        let environment = ProcessInfo.processInfo.environment
        let isDumb = environment["TERM"] == "dumb"
        isColoured = isatty(1) == 1 && environment["NO_COLOR"] == nil && !isDumb
        showsProgress = isatty(2) == 1 && !isDumb
    }

    func line(_ text: String = "") {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    func title(_ text: String) {
        line()
        line(isColoured ? "\u{1b}[1m\(text)\u{1b}[0m" : text)
    }

    func faint(_ text: String) {
        line(isColoured ? "\u{1b}[2m\(text)\u{1b}[0m" : text)
    }

    /// The work in progress and how far it is; `nil` removes the line.
    func progress(_ what: String, _ share: Double?, _ detail: String = "") {
        guard showsProgress else { return }
        guard let share else { return error("\r\u{1b}[K") }
        guard isDue() else { return }
        let width = 28
        let full = Int((min(max(share, 0), 1) * Double(width)).rounded())
        let bar = String(repeating: "━", count: full) + String(repeating: "·", count: width - full)
        let percent = Text.right("\(Int(min(max(share, 0), 1) * 100)) %", 5)
        // A line longer than the terminal is cut off, not wrapped.
        error("\u{1b}[?7l\r\u{1b}[K  \(Text.left(what, 10)) \(bar) \(percent)  \(detail)\u{1b}[?7h")
    }

    /// Whether the progress bar may be drawn again: drawing takes longer than most of the steps that it shows.
    private func isDue() -> Bool {
        drawn.withLock { last in
            let now = ContinuousClock.now
            guard last.duration(to: now) > .milliseconds(40) else { return false }
            last = now
            return true
        }
    }

    private func error(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    func mark(_ isGood: Bool) -> String {
        let (sign, colour) = isGood ? ("✓", "32") : ("✗", "31")
        return isColoured ? "\u{1b}[\(colour)m\(sign)\u{1b}[0m" : sign
    }
}
