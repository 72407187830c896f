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

/// How far something is, with rate and time left, on stderr. May be told from any thread.
final class ProgressBar: Sendable {
    enum Unit: String { case bytes, records, rows }

    private struct State {
        var done = 0
        var shown = -1.0
    }

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
    }

    /// Adds to what is done.
    func advance(by amount: Int) { change { $0 += amount } }

    /// Sets what is done.
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

    /// Takes the bar off the screen, or says that all is done.
    func finish() {
        switch form {
        case .bar: write("\r\u{1B}[K")
        case .json: show(state.withLock { $0.done }, elapsed)
        case .auto, .none: break
        }
    }

    private func show(_ done: Int, _ seconds: Double) {
        let share = total > 0 ? min(1, Double(done) / Double(total)) : 0
        let rate = seconds > 0 ? Double(done) / seconds : 0
        let left = rate > 0 && total > done ? Double(total - done) / rate : 0
        switch form {
        case .bar:
            let width = 24
            let full = Int(share * Double(width))
            let bar =
                String(repeating: "█", count: full)
                + String(repeating: "░", count: width - full)
            write(
                "\r\u{1B}[K\(what) \(bar) \(Int(share * 100)) %  \(amount(rate))/s  "
                    + "\(WriteBehindText.duration(seconds: left)) left")
        case .json:
            write(
                JSON.object([
                    ("progress", .string(what)), ("unit", .string(unit.rawValue)),
                    ("done", .number(done)), ("total", .number(total)),
                    ("perSecond", .number(rate.rounded())), ("secondsLeft", .number(left)),
                ]).text + "\n")
        case .auto, .none: break
        }
    }

    private func amount(_ value: Double) -> String {
        unit == .bytes
            ? WriteBehindText.bytes(Int(value)) : WriteBehindText.count(Int(value))
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
