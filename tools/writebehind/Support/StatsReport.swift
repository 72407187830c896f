import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// The output of `stats`, in text and as JSON; the page is in StatsPage.swift.
struct StatsReport {
    let statistics: LogStatistics
    let store: StoreInspection
    let clock: Clock
    let hottest: Int
    /// nil if there is no database that can be read.
    let sizes: DatabaseSizes?

    init(
        _ statistics: LogStatistics, store: StoreInspection, clock: Clock, hottest: Int,
        sizes: DatabaseSizes?
    ) {
        self.statistics = statistics
        self.sizes = sizes
        self.store = store
        self.clock = clock
        self.hottest = hottest
    }

    func lines(width: Int) -> [String] {
        var lines = [summary, ""] + tables.lines + ["", "by table".bold] + bySize.lines
        if let server { lines += StatusReport.broken("the database is \(server)", room: width) }
        let rows = statistics.hottest(hottest)
        if !rows.isEmpty {
            lines += ["", "hottest rows".bold]
            let widest = rows.map { WriteBehindText.count($0.records).count }.max() ?? 0
            for row in rows {
                lines.append(
                    padded(WriteBehindText.count(row.records), widest, right: true) + "  " + row.row
                )
            }
        }
        lines += ["", "what merging by row saves the database".bold]
        for window in statistics.windows { lines.append(saving(window)) }
        return lines + ["", "records over time".bold] + chart(width: width)
    }

    /// The address of the database, if it is on a server and has told its sizes.
    var server: String? {
        sizes == nil ? nil : StatusReport.place(store).map { escapingControls($0) }
    }

    private var summary: String {
        let total = statistics.total
        guard let first = statistics.firstTime else { return "no records" }
        let seconds = Double(statistics.lastTime - first) / 1000
        let rate = seconds > 0 ? Int(Double(total.records) / seconds) : Int(total.records)
        return "\(WriteBehindText.count(total.records)) records in "
            + "\(WriteBehindText.count(statistics.commits)) commits, "
            + "\(WriteBehindText.bytes(Int(total.bytes))) raw, in "
            + "\(WriteBehindText.duration(seconds: seconds)) "
            + "(\(WriteBehindText.count(rate)) a second)"
    }

    private var tables: TextTable {
        var table = TextTable([
            .init(title: "records"), .init(title: "share"), .init(title: "bytes"),
            .init(title: "per record"), .init(title: "operation", isNumber: false),
            .init(title: "table", isNumber: false),
        ])
        for line in statistics.lines {
            let share = 100 * Double(line.pile.records) / Double(max(1, statistics.total.records))
            table.append([
                WriteBehindText.count(line.pile.records), WriteBehindText.fixed(share, 1) + " %",
                WriteBehindText.bytes(Int(line.pile.bytes)),
                WriteBehindText.bytes(Int(line.pile.bytes / max(1, line.pile.records))),
                line.operation, line.table.isEmpty ? "" : plain(line.table),
            ])
        }
        return table
    }

    private var bySize: TextTable {
        var table = TextTable([
            .init(title: "records"), .init(title: "in the log"), .init(title: "in the database"),
            .init(title: "table", isNumber: false),
        ])
        for size in tableSizes {
            table.append([
                WriteBehindText.count(size.log.records),
                WriteBehindText.bytes(Int(size.log.bytes)),
                size.database.map(WriteBehindText.bytes) ?? "-", plain(size.table),
            ])
        }
        table.append([
            WriteBehindText.count(statistics.total.records),
            WriteBehindText.bytes(Int(statistics.total.bytes)),
            sizes.map { WriteBehindText.bytes($0.total) } ?? "-", "all",
        ])
        return table
    }

    struct TableSize {
        var table: String
        var log: LogStatistics.Pile
        /// nil if the database has no such table.
        var database: Int?
    }

    /// The tables of log and database, and the bytes that belong to no table.
    var tableSizes: [TableSize] {
        var found: [String: TableSize] = [:]
        for line in statistics.lines {
            found[line.table, default: TableSize(table: line.table, log: .init())].log.add(
                line.pile)
        }
        for size in sizes?.tables ?? [] {
            found[size.table, default: TableSize(table: size.table, log: .init())].database =
                size.bytes
        }
        func weight(_ size: TableSize) -> UInt64 {
            size.log.bytes + UInt64(size.database ?? 0)
        }
        var all = found.values.sorted {
            (weight($1), $0.table) < (weight($0), $1.table)
        }
        for index in all.indices where all[index].table.isEmpty { all[index].table = "(no table)" }
        return all
    }

    private func saving(_ window: LogStatistics.Window) -> String {
        let saved = window.records - window.changes
        let share = 100 * Double(saved) / Double(max(1, window.records))
        return padded(WriteBehindText.fixed(share, 1) + " %", 8, right: true) + "  \(window.name): "
            + "\(WriteBehindText.count(window.records)) records, "
            + "\(WriteBehindText.count(window.changes)) changes"
    }

    /// A bar a step, one character wide, eight rows high.
    private func chart(width: Int) -> [String] {
        let rate = statistics.rate(steps: max(10, width - 12))
        guard let peak = rate.counts.max(), peak > 0 else { return [] }
        let eighths: [Character] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        let height = 6
        var lines: [String] = []
        let perSecond = 1000 / Double(rate.stepMilliseconds)
        let scale = padded(
            WriteBehindText.count(Int(Double(peak) * perSecond)) + "/s", 10, right: true)
        for row in (0..<height).reversed() {
            let bars = rate.counts.map { count -> Character in
                let filled = Double(count) / Double(peak) * Double(height * 8) - Double(row * 8)
                return eighths[max(count > 0 && row == 0 ? 1 : 0, min(8, Int(filled.rounded())))]
            }
            let label = row == height - 1 ? scale : String(repeating: " ", count: 10)
            lines.append(label.lightBlack + " " + String(bars).cyan)
        }
        let start = String(clock.full(rate.start).dropLast(4))
        let step = WriteBehindText.duration(seconds: Double(rate.stepMilliseconds) / 1000)
        lines.append(String(repeating: " ", count: 11) + "from \(start), a column is \(step)")
        return lines
    }

    var json: JSON {
        let rate = statistics.rate(steps: 1000)
        return .object([
            ("v", .number(1)), ("records", .number(statistics.total.records)),
            ("commits", .number(statistics.commits)), ("bytes", .number(statistics.total.bytes)),
            ("from", .optional(statistics.firstTime) { .time($0) }),
            ("to", .optional(statistics.firstTime) { _ in .time(statistics.lastTime) }),
            (
                "tables",
                .array(
                    statistics.lines.map {
                        .object([
                            ("table", .string($0.table)), ("operation", .string($0.operation)),
                            ("records", .number($0.pile.records)),
                            ("bytes", .number($0.pile.bytes)),
                        ])
                    })
            ),
            ("sizes", .array(tableSizes.map(size))),
            ("database", .optional(StatusReport.place(store)) { .string($0) }),
            ("databaseBytes", .optional(sizes?.total) { .number($0) }),
            (
                "hottest",
                .array(
                    statistics.hottest(hottest).map {
                        .object([("row", .string($0.row)), ("records", .number($0.records))])
                    })
            ),
            (
                "coalescing",
                .array(
                    statistics.windows.map {
                        .object([
                            ("window", .string($0.name)), ("records", .number($0.records)),
                            ("changes", .number($0.changes)),
                        ])
                    })
            ),
            (
                "rate",
                .object([
                    ("start", .time(rate.start)),
                    ("stepMilliseconds", .number(rate.stepMilliseconds)),
                    ("records", .array(rate.counts.map { .number($0) })),
                ])
            ),
        ])
    }

    private func size(_ size: TableSize) -> JSON {
        .object([
            ("table", .string(size.table)), ("records", .number(size.log.records)),
            ("logBytes", .number(size.log.bytes)),
            ("databaseBytes", .optional(size.database) { .number($0) }),
        ])
    }
}
