import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

// The page of `stats --html`: one file, no script, nothing loaded from anywhere.

extension StatsReport {
    var html: String {
        let name = RowName.path(store.layout.root)
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(Self.escaped(name)): statistics</title>
            <style>\(Self.style)</style></head><body>
            <h1>\(Self.escaped(name))</h1>
            <p class="sub">\(Self.escaped(subtitle))</p>
            <section class="tiles">\(tiles)</section>
            <h2>Records over time</h2>\(ratePlot)
            <h2>By table</h2>\(sizeTable)\(place)
            <h2>By table and operation</h2>\(tablePlot)
            <h2>Hottest rows</h2>\(hottestPlot)
            <h2>What merging by row saves the database</h2>\(savingPlot)
            </body></html>

            """
    }

    private static let style = """
        body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
        color:#1b2430;background:#fff}h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}\
        h2{font-size:1.05rem;margin:2.2rem 0 .6rem}.sub{color:#64707d;margin:.2rem 0 1.4rem}\
        .tiles{display:flex;flex-wrap:wrap;gap:.8rem}.tile{flex:1 1 9rem;background:#f3f6f9;\
        border-radius:.5rem;padding:.7rem 1rem}.tile b{display:block;font-size:1.35rem;\
        font-variant-numeric:tabular-nums}.tile span{color:#64707d}svg{width:100%;height:auto;\
        display:block}svg text{font:12px system-ui,sans-serif;fill:#64707d}table{width:100%;\
        border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.25rem .5rem;\
        border-bottom:1px solid #e8edf2;text-align:left}th{color:#64707d;font-weight:500}\
        td.n,th.n{text-align:right;white-space:nowrap}tr.all td{font-weight:600}\
        td.row{overflow-wrap:anywhere}td.bar{width:40%}\
        .fill{height:.8rem;border-radius:.2rem;background:#2f7ed8;min-width:2px}\
        @media(prefers-color-scheme:dark){body{background:#11161c;color:#e3e9ef}\
        .tile{background:#1b232c}td,th{border-color:#26313c}}
        """

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            .replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
    }

    private var subtitle: String {
        guard let first = statistics.firstTime else { return "no records" }
        return "\(clock.full(first)) to \(clock.full(statistics.lastTime))"
    }

    private var tiles: String {
        let total = statistics.total
        let seconds = Double(statistics.lastTime - (statistics.firstTime ?? 0)) / 1000
        let rate = statistics.firstTime != nil && seconds > 0 ? Double(total.records) / seconds : 0
        let packed = total.bytes / max(1, total.records)
        return [
            (WriteBehindText.count(total.records), "records"),
            (WriteBehindText.count(statistics.commits), "commits"),
            (WriteBehindText.bytes(Int(total.bytes)), "unpacked, \(packed) B per record"),
            (WriteBehindText.count(Int(rate)), "records a second"),
        ].map { "<div class=\"tile\"><b>\($0)</b><span>\($1)</span></div>" }.joined()
    }

    private var ratePlot: String {
        let rate = statistics.rate(steps: 240)
        guard let peak = rate.counts.max(), peak > 0 else { return "<p>none</p>" }
        let perSecond = 1000 / Double(rate.stepMilliseconds)
        let top = Self.roundedUp(Double(peak) * perSecond)
        // No label may be wider than the room beside the plot.
        let labels = [1.0, 0.5, 0.0].map { (share: $0, text: Self.rate(top * $0)) }
        let left = 16 + 7.5 * Double(labels.map(\.text.count).max() ?? 0)
        let (width, height, bottom) = (960.0, 240.0, 24.0)
        let plotHeight = height - bottom - 14
        let step = (width - left) / Double(rate.counts.count)
        let bars = rate.counts.enumerated().filter { $0.element > 0 }.map { index, count in
            let bar = max(1, plotHeight * Double(count) * perSecond / top)
            return "<rect x=\"\(Self.number(left + Double(index) * step))\" "
                + "y=\"\(Self.number(height - bottom - bar))\" "
                + "width=\"\(Self.number(max(0.5, step * 0.9)))\" height=\"\(Self.number(bar))\">"
                + "<title>"
                + Self.escaped(clock.full(rate.start + UInt64(index) * rate.stepMilliseconds))
                + ": \(WriteBehindText.count(count)) records</title></rect>"
        }
        let lines = labels.map { share, label in
            let y = height - bottom - plotHeight * share
            return "<line x1=\"\(left)\" x2=\"\(width)\" y1=\"\(y)\" y2=\"\(y)\"/>"
                + "<text x=\"\(left - 8)\" y=\"\(y + 4)\" text-anchor=\"end\">\(label)</text>"
        }
        let end = rate.start + UInt64(rate.counts.count) * rate.stepMilliseconds
        return """
            <svg viewBox="0 0 \(width) \(height)" role="img" aria-label="records over time">\
            <g stroke="#8894a0" stroke-opacity=".35">\(lines.joined())</g>\
            <g fill="#2f7ed8">\(bars.joined())</g>\
            <text x="\(left)" y="\(height - 6)">\(Self.escaped(clock.full(rate.start)))</text>\
            <text x="\(width)" y="\(height - 6)" text-anchor="end">\
            \(Self.escaped(clock.full(end)))</text></svg>
            """
    }

    /// The end of an axis: 1, 2 or 5 times a power of ten.
    static func roundedUp(_ value: Double) -> Double {
        guard value > 0 else { return 1 }
        var power = 1.0
        while power * 10 <= value { power *= 10 }
        while power > value { power /= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= value * 0.999_999 } ?? value
    }

    private static func rate(_ value: Double) -> String {
        (value >= 10
            || value == 0
            ? WriteBehindText.count(Int(value.rounded())) : WriteBehindText.fixed(value, 1)) + "/s"
    }

    private static func number(_ value: Double) -> String { WriteBehindText.fixed(value, 2) }

    private var tablePlot: String {
        let lines = statistics.lines
        let most = lines.map(\.pile.records).max() ?? 1
        return Self.table(
            ["table and operation", "bytes", "records"],
            lines.map { line in
                let name =
                    line.table.isEmpty ? line.operation : "\(plain(line.table)) \(line.operation)"
                return (
                    name, WriteBehindText.bytes(Int(line.pile.bytes)), line.pile.records,
                    Double(line.pile.records) / Double(max(1, most))
                )
            })
    }

    private var sizeTable: String {
        let rows = tableSizes.map {
            Self.sizeRow(plain($0.table), $0.log, $0.database, "")
        }
        let all = Self.sizeRow("all", statistics.total, sizes?.total, " class=\"all\"")
        return "<table>" + Self.head(["table", "records", "in the log", "in the database"])
            + "<tbody>\(rows.joined())\(all)</tbody></table>"
    }

    private var place: String {
        server.map { "<p class=\"sub\">The database is \(Self.escaped($0)).</p>" } ?? ""
    }

    private static func sizeRow(
        _ name: String, _ log: LogStatistics.Pile, _ database: Int?, _ mark: String
    ) -> String {
        let numbers = [
            WriteBehindText.count(log.records), WriteBehindText.bytes(Int(log.bytes)),
            database.map(WriteBehindText.bytes) ?? "",
        ]
        return "<tr\(mark)><td class=\"row\">\(escaped(name))</td>"
            + numbers.map { "<td class=\"n\">\($0)</td>" }.joined() + "</tr>"
    }

    /// The first column is a name, the others are numbers; a bar has no title.
    private static func head(_ titles: [String]) -> String {
        let cells = titles.enumerated().map {
            "<th scope=\"col\"\($0.offset == 0 ? "" : " class=\"n\"")>\($0.element)</th>"
        }
        return "<thead><tr>\(cells.joined())</tr></thead>"
    }

    private var hottestPlot: String {
        let rows = statistics.hottest(max(1, hottest))
        guard let most = rows.first?.records else { return "<p>none</p>" }
        return Self.table(
            ["row", "", "records"],
            rows.map { ($0.row, "", $0.records, Double($0.records) / Double(max(1, most))) })
    }

    private var savingPlot: String {
        Self.table(
            ["records merged by row", "saved", "changes left"],
            statistics.windows.map { window in
                let share = Double(window.records - window.changes) / Double(max(1, window.records))
                return (
                    window.name, WriteBehindText.fixed(100 * share, 1) + " %",
                    window.changes, share
                )
            })
    }

    private static func table(
        _ titles: [String], _ rows: [(String, String, UInt64, Double)]
    ) -> String {
        let cells = rows.map { name, note, count, share in
            "<tr><td class=\"row\">\(escaped(name))</td><td class=\"n\">\(note)</td>"
                + "<td class=\"n\">\(WriteBehindText.count(count))</td><td class=\"bar\">"
                + "<div class=\"fill\" style=\"width:\(number(100 * share))%\"></div></td></tr>"
        }
        return "<table>\(head(titles + [""]))<tbody>\(cells.joined())</tbody></table>"
    }
}
