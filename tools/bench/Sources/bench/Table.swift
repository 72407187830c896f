import Foundation

/// A workload's results in at most 100 columns.
struct Table: CustomStringConvertible {
    private let workload: Workload
    private let series: [Series]

    init(_ workload: Workload, _ series: [Series]) {
        self.workload = workload
        self.series = series
    }

    var description: String {
        var lines = ["", "\(workload.id)  \(workload.title)"]
        for width in workload.widths {
            if workload.widths.count > 1 { lines.append("  \(width) at once") }
            let rows =
                series.filter { $0.width == width && !$0.contender.isLimit }
                + series.filter { $0.contender.isLimit }
            let ours = rows.first { $0.contender.rawValue.hasPrefix("writebehind") }
            lines.append(Self.line(header))
            lines += rows.map { Self.line(row($0, ours)) + more($0) }
        }
        return lines.joined(separator: "\n")
    }

    private var header: [String] {
        let unit =
            switch workload.result {
            case .rate: "ops/s"
            case .figure(_, let unit): unit
            }
        return [
            "", "survives", unit, "min-max", "we: x", "p50", "p99", "p99.9", "cpu", "MB", "disk",
        ]
    }

    private static let widths = [23, 11, 7, 13, 6, 8, 8, 8, 6, 5, 5]

    private static func line(_ cells: [String]) -> String {
        zip(cells, widths).enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index < 2 ? cell.0 + padding : padding + cell.0
        }
        .joined(separator: "")
    }

    private func row(_ series: Series, _ ours: Series?) -> [String] {
        let result = series.median(figure) ?? 0
        let range = series.range(figure) ?? 0...0
        return [
            series.contender.rawValue, workload.survives ?? series.contender.survivesUnsynced,
            result.short, "\(range.lowerBound.short)-\(range.upperBound.short)",
            ratio(result, ours?.median(figure)), time(series.median(\.p50)),
            time(series.median(\.p99)), time(series.median(\.p999)),
            series.median(\.cpuSeconds)?.short ?? "",
            series.median { $0.peakMemory.map { Double($0) / 1e6 } }?.short ?? "",
            series.median { $0.diskBytes.map { Double($0) / 1e6 } }?.short ?? "",
        ]
    }

    private var figure: (Measurement) -> Double? {
        switch workload.result {
        case .rate: { $0.perSecond }
        case .figure(let name, _): { $0.more[name] }
        }
    }

    /// How many times as good the store is as a peer.
    private func ratio(_ theirs: Double, _ ours: Double?) -> String {
        guard let ours, ours > 0, theirs > 0 else { return "" }
        return (workload.result == .rate ? ours / theirs : theirs / ours).short
    }

    private func time(_ nanoseconds: Double?) -> String {
        guard let nanoseconds else { return "" }
        if nanoseconds < 1e6 { return (nanoseconds / 1e3).short + "µs" }
        return (nanoseconds / 1e6).short + "ms"
    }

    private func more(_ series: Series) -> String {
        let names = Set(series.runs.flatMap { $0.more.keys }).sorted()
        let figures = names.compactMap { name -> String? in
            series.median { $0.more[name] }.map { "\(name) \($0.short)" }
        }
        return figures.isEmpty ? "" : "\n    " + figures.joined(separator: ", ")
    }
}

extension Double {
    /// Three digits, with a letter for thousands and millions.
    var short: String {
        switch abs(self) {
        case 0: "0"
        case ..<0.995: String(format: "%.2f", self)
        case ..<9.95: String(format: "%.2f", self)
        case ..<99.5: String(format: "%.1f", self)
        case ..<9950: String(format: "%.0f", self)
        case ..<999_500: String(format: "%.0fk", self / 1e3)
        case ..<9_950_000: String(format: "%.2fM", self / 1e6)
        default: String(format: "%.1fM", self / 1e6)
        }
    }
}
