import Rainbow
import WriteBehindInspection

extension StatusReport {
    /// `webhook (post): #1200, 340 records behind, the last acknowledged is 3 s old`.
    static func text(_ stream: StreamList.Stream) -> String {
        let start =
            plain(stream.name) + " (\(stream.table.map(plain) ?? "all tables")): "
            + "#\(stream.sequence), "
        if let fault = stream.fault { return start + WriteBehindText.message(fault).red }
        guard stream.records > 0 else { return start + "up to date" }
        let now = WriteBehindText.now
        let age = WriteBehindText.duration(
            seconds: Double(now - min(now, stream.time)) / 1000)
        return start
            + (WriteBehindText.counted(Int(stream.records), "record") + " behind").yellow
            + ", the last acknowledged is \(age) old"
    }

    static func json(_ stream: StreamList.Stream) -> JSON { .object(keys(stream)) }

    static func keys(_ stream: StreamList.Stream) -> [(String, JSON)] {
        [
            ("name", .string(stream.name)),
            ("table", .optional(stream.table) { .string($0) }),
            ("acknowledged", .number(stream.sequence)), ("at", .time(stream.time)),
            ("records", .number(stream.records)),
            ("fault", .optional(stream.fault) { .string(WriteBehindText.message($0)) }),
        ]
    }
}
