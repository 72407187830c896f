import ArgumentParser
import EventLog
import Foundation

/// `--progress`, for commands that may take a while.
struct ProgressOption: ParsableArguments {
    enum Form: String, ExpressibleByArgument, CaseIterable { case auto, bar, json, none }

    @Option(help: "On stderr: auto (a bar on a terminal), bar, json (an object a line) or none.")
    var progress = Form.auto

    func bar(_ what: String, total: Int, unit: ProgressBar.Unit) -> ProgressBar {
        let isTerminal = isatty(STDERR_FILENO) == 1
        return ProgressBar(
            what, total: total, unit: unit,
            form: progress == .auto ? (isTerminal ? .bar : .none) : progress)
    }
}

/// The progress of some work, with rate and time left, on stderr. Any thread may report it.
final class ProgressBar: Sendable {
    enum Unit: String { case bytes, records, rows }

    private struct State {
        var done = 0
        var shown = -1.0
    }

    /// Whether a bar is on the screen.
    private static let isShown = Lock(false)

    private let what: String
    private let total: Int
    private let unit: Unit
    private let form: ProgressOption.Form
    private let start = ContinuousClock.now
    private let state = Lock(State())

    init(_ what: String, total: Int, unit: Unit, form: ProgressOption.Form) {
        self.what = what
        self.total = total
        self.unit = unit
        self.form = form
        if form != .none { show(0, 0) }
    }

    /// Adds to the amount that is done.
    func advance(by amount: Int) { change { $0 += amount } }

    /// Sets the amount that is done.
    func advance(to amount: Int) { change { $0 = amount } }

    private func change(_ body: (inout Int) -> Void) {
        let seconds = elapsed
        let done: Int? = state.withLock { state in
            body(&state.done)
            guard form != .none, seconds - state.shown >= 0.1 else { return nil }
            state.shown = seconds
            return state.done
        }
        if let done { show(done, seconds) }
    }

    private var elapsed: Double {
        let duration = start.duration(to: .now).components
        return Double(duration.seconds) + Double(duration.attoseconds) / 1e18
    }

    /// Removes the bar from the screen, or reports that everything is done.
    func finish() {
        switch form {
        case .bar: Self.clear()
        case .json: show(state.withLock { $0.done }, elapsed)
        case .auto, .none: break
        }
    }

    /// Removes a bar from the screen, so that something else can be written there.
    static func clear() {
        let wasShown = isShown.withLock { isShown in
            defer { isShown = false }
            return isShown
        }
        if wasShown { write("\r\u{1B}[K") }
    }

    private func show(_ done: Int, _ seconds: Double) {
        let rate = seconds > 0 ? Double(done) / seconds : 0
        switch form {
        case .bar:
            let speed = done > 0 ? "\(amount(rate))/s\(left(done, rate))" : ""
            Self.isShown.withLock { $0 = true }
            Self.write("\r\u{1B}[K\(what) \(share(done))\(speed)")
        case .json:
            Self.write(
                JSON.object([
                    ("progress", .string(what)), ("unit", .string(unit.rawValue)),
                    ("done", .number(done)), ("total", total > 0 ? .number(total) : .null),
                    ("perSecond", .number(rate.rounded())),
                    (
                        "secondsLeft",
                        .optional(secondsLeft(done, rate)) { .number($0) }
                    ),
                ]).text + "\n")
        case .auto, .none: break
        }
    }

    /// A bar, or a plain number if the total is not known.
    private func share(_ done: Int) -> String {
        guard total > 0 else {
            return amount(Double(done)) + (unit == .bytes ? "" : " \(unit.rawValue)") + ", "
        }
        let share = min(1, Double(done) / Double(total))
        let width = 24
        let full = Int(share * Double(width))
        return String(repeating: "█", count: full)
            + String(repeating: "░", count: width - full) + " \(Int(share * 100)) %  "
    }

    /// nil if it is not known, or all is done.
    private func secondsLeft(_ done: Int, _ rate: Double) -> Double? {
        rate > 0 && total > done ? Double(total - done) / rate : nil
    }

    /// Less than a second is not shown.
    private func left(_ done: Int, _ rate: Double) -> String {
        guard let seconds = secondsLeft(done, rate), seconds >= 1 else { return "" }
        return "  \(WriteBehindText.duration(seconds: seconds)) left"
    }

    private func amount(_ value: Double) -> String {
        unit == .bytes
            ? WriteBehindText.bytes(Int(value)) : WriteBehindText.count(Int(value))
    }

    private static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
