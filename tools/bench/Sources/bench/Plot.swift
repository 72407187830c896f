/// Bars of all workloads with a rate, longest first, and curves of long runs, as an SVG file.
struct Plot {
    let svg: String

    private static let barHeight = 18
    private static let nameWidth = 240
    private static let barWidth = 420

    init(_ report: Report) {
        var body = ""
        var y = 20
        for workload in Workload.all where workload.result == .rate {
            for width in workload.widths {
                let series = report.series.filter {
                    $0.workload == workload.id && $0.width == width
                }
                guard !series.isEmpty else { continue }
                let at = workload.widths.count > 1 ? ", \(width) at once" : ""
                body += Self.text(
                    10, y, "\(workload.id): \(workload.title)\(at), ops/s", bold: true)
                y += Self.barHeight
                body += Self.bars(series, &y)
                y += Self.barHeight
            }
        }
        for series in report.series {
            guard let samples = series.runs.last?.samples, samples.count > 1 else { continue }
            body += Self.curve("lag, records", samples, \.lag, &y)
            body += Self.curve("memory, bytes", samples, \.memory, &y)
        }
        body += Self.text(10, y, "\(report.machine)", bold: false)
        svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="760" height="\(y + 20)" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            \(body)</svg>

            """
    }

    private static func bars(_ series: [Series], _ y: inout Int) -> String {
        let rates = series.map { $0.median(\.perSecond) ?? 0 }
        let most = max(rates.max() ?? 1, 1)
        var result = ""
        for (series, rate) in zip(series, rates).sorted(by: { $0.1 > $1.1 }) {
            let length = max(1, Int(rate / most * Double(barWidth)))
            let isOurs = series.contender.rawValue.hasPrefix("writebehind")
            let color = isOurs ? "#d9480f" : series.contender.isLimit ? "#ced4da" : "#4c6ef5"
            result += text(20, y, series.contender.rawValue, bold: isOurs)
            result += """
                <rect x="\(nameWidth)" y="\(y - 12)" width="\(length)" height="14" fill="\(color)"/>

                """
            result += text(nameWidth + length + 6, y, rate.short, bold: false)
            y += barHeight
        }
        return result
    }

    /// A figure over the time of a run.
    private static func curve(
        _ name: String, _ samples: [Sample], _ figure: (Sample) -> Double, _ y: inout Int
    ) -> String {
        let (width, height) = (700.0, 120.0)
        let most = max(samples.map(figure).max() ?? 1, 1)
        let end = max(samples.last?.seconds ?? 1, 1)
        let points = samples.map { sample in
            let x = 20 + sample.seconds / end * width
            let down = Double(y) + 10 + height - figure(sample) / most * height
            return "\(Int(x)),\(Int(down))"
        }
        let title = "P9: \(name), at most \(most.short), over \(end.short) s"
        let line = "<polyline points=\"\(points.joined(separator: " "))\""
        let result = text(10, y, title, bold: true) + line + " fill=\"none\" stroke=\"#d9480f\"/>\n"
        y += Int(height) + 2 * barHeight
        return result
    }

    private static func text(_ x: Int, _ y: Int, _ text: String, bold: Bool) -> String {
        let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
        return """
            <text x="\(x)" y="\(y)"\(bold ? " font-weight=\"bold\"" : "")>\(escaped)</text>

            """
    }
}
