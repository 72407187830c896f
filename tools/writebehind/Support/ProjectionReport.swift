import Rainbow
import WriteBehindInspection

extension StatusReport {
    /// `likes per hour (post), version 2: current, 3 records behind`.
    static func text(_ projection: ProjectionList.Projection) -> String {
        let start =
            plain(projection.name) + " (\(projection.table.map(plain) ?? "no table")), "
            + "version \(projection.version): "
        return start + state(of: projection)
    }

    private static func state(of projection: ProjectionList.Projection) -> String {
        var since = ""
        if let time = projection.since {
            let now = WriteBehindText.now
            since =
                " "
                + WriteBehindText.duration(seconds: Double(now - min(now, time)) / 1000) + " ago"
        }
        let cause = projection.cause.map { WriteBehindText.message($0) }
        switch projection.state {
        case "stopped": return "it has stopped\(since): \(cause ?? "")".red
        case "building":
            if let cause { return "it could not be built\(since): \(cause)".yellow }
            guard let rows = projection.rows else {
                return "it is built anew when its program declares it".yellow
            }
            return "being built, " + WriteBehindText.counted(rows, "row") + " read"
        case "undeclared":
            return "its program has not declared it, so it misses what is written".yellow
        default:
            guard let records = projection.records, records > 0 else { return "up to date" }
            return (WriteBehindText.counted(Int(records), "record") + " behind").yellow
        }
    }

    static func json(_ projection: ProjectionList.Projection) -> JSON {
        .object([
            ("name", .string(projection.name)), ("version", .number(projection.version)),
            ("table", .optional(projection.table) { .string($0) }),
            ("state", .string(projection.state)),
            ("rows", .optional(projection.rows) { .number($0) }),
            ("records", .optional(projection.records) { .number($0) }),
            (
                "cause",
                .optional(projection.cause) { .string(WriteBehindText.message($0)) }
            ),
            ("since", .optional(projection.since) { .time($0) }),
        ])
    }
}
