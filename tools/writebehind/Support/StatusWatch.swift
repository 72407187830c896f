import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `status --watch`: shows the state every second, in place, until it is interrupted.
struct StatusWatch {
    private let command: Status
    private let clock: Clock
    private var output = Output()
    private var chart = StatusChart()
    private var before: StoreSummary?
    /// Lines on the screen that the next look replaces.
    private var drawn = 0

    init(_ command: Status) {
        self.command = command
        clock = Clock(isUTC: command.utc)
    }

    private var drawsInPlace: Bool { output.isTerminal && !command.json.json }

    mutating func run() throws {
        // A path without a store is an error at once.
        _ = try command.store.inspect()
        let interrupts = Interrupts()
        if drawsInPlace { output.raw("\u{1B}[?25l") }
        defer {
            if drawsInPlace { output.raw("\u{1B}[?25h") }
            output.flush()
        }
        while !interrupts.wasInterrupted {
            look()
            output.flush()
            interrupts.sleep(command.interval)
        }
    }

    private mutating func look() {
        do {
            var look = try command.look()
            look.rates = before.flatMap { StoreRates(from: $0, to: look.summary) }
            before = look.summary
            chart.note(look)
            show(look)
        } catch {
            // The store is being opened, closed or rebuilt at this moment, or has been moved away.
            before = nil
            let why = FileProblem(error)?.description ?? "\(error)"
            if command.json.json {
                output.line(
                    JSON.object([("v", .number(1)), ("problem", .string(why))]).text)
            } else {
                draw(
                    StatusReport.laidOut("now", escapingControls(why).red, width: output.width)
                        + ["", now + ", still looking; Ctrl-C ends it"])
            }
        }
    }

    private var now: String { String(clock.full(WriteBehindText.now).prefix(19)) }

    private mutating func show(_ look: StatusLook) {
        if command.json.json {
            output.line(StatusReport.json(look).text)
        } else if drawsInPlace {
            let lines =
                StatusReport.lines(look, clock, width: output.width) + [""]
                + chart.lines(width: output.width)
            draw(lines + [(now + ", Ctrl-C ends it").lightBlack])
        } else {
            output.line(StatusReport.line(look, clock))
        }
    }

    /// Replaces the lines that were drawn before, as far as the screen still shows them.
    private mutating func draw(_ lines: [String]) {
        guard drawsInPlace else {
            for line in lines where !line.isEmpty { output.line(line) }
            return
        }
        if drawn > 0 { output.raw("\u{1B}[\(drawn)A") }
        let shown = lines.prefix(max(1, output.height - 1))
        output.raw("\r\u{1B}[J")
        for line in shown { output.line(line) }
        drawn = shown.count
    }
}

/// Lag and rates of the last looks, a character each.
struct StatusChart {
    private var lag: [Double] = []
    private var written: [Double] = []
    private var applied: [Double] = []

    private static let eighths: [Character] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    /// As many looks as the widest terminal can show.
    private static let limit = 512

    mutating func note(_ look: StatusLook) {
        Self.append(Double(look.summary.lag?.records ?? 0), &lag)
        Self.append(look.rates?.written ?? 0, &written)
        Self.append(look.rates?.applied ?? 0, &applied)
    }

    private static func append(_ value: Double, _ values: inout [Double]) {
        values.append(value)
        if values.count > limit { values.removeFirst() }
    }

    func lines(width: Int) -> [String] {
        // Both rates have one scale, so that they can be compared.
        let room = max(10, width - 41)
        let fastest = (written.suffix(room) + applied.suffix(room)).max() ?? 0
        return [
            Self.line("behind", lag, room, top: lag.suffix(room).max() ?? 0, unit: ""),
            Self.line("written", written, room, top: fastest, unit: "/s"),
            Self.line("applied", applied, room, top: fastest, unit: "/s"),
        ]
    }

    private static func line(
        _ title: String, _ values: [Double], _ room: Int, top: Double, unit: String
    ) -> String {
        let bars = values.suffix(room).map { value -> Character in
            guard value > 0, top > 0 else { return eighths[0] }
            return eighths[max(1, min(8, Int((value / top * 8).rounded(.up))))]
        }
        let last = WriteBehindText.count(Int(values.last ?? 0)) + unit
        let most = "most " + WriteBehindText.count(Int(top)) + unit
        return padded(title, 11).lightBlack + padded(String(bars), room).cyan + " "
            + padded(last, 11, right: true) + "  " + most
    }
}
