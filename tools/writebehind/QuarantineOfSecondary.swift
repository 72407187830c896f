import ArgumentParser
import EventLog
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind quarantine list --database NAME`, and of a database on a server whose address is not given.
extension QuarantineCommand.List {
    /// A secondary database may be on any machine, so this prints what the store's writer has reported about it.
    func list(_ name: String, _ store: StoreInspection) throws {
        let report = SecondariesReport.read(store.layout, on: store.environment.disk)
        guard let report, let found = report.databases.first(where: { $0.name == name }) else {
            let names = report?.databases.map { plain($0.name) } ?? []
            throw ValidationError(
                "the store's writer reports no secondary database \(plain(name))"
                    + (names.isEmpty ? "." : "; it has \(names.joined(separator: ", ")).")
            )
        }
        try list(found, store)
    }

    /// A database as the writer last said.
    func list(_ found: SecondariesReport.Database, _ store: StoreInspection) throws {
        var output = Output()
        for commit in found.refused {
            output.line(json.json ? Self.json(commit).text : line(commit))
        }
        if found.quarantined == 0, !json.json { output.line("nothing is in its quarantine") }
        output.flush()
        if found.quarantined > found.refused.count {
            note(
                "note: \(found.quarantined) commits are in its quarantine; the writer names the first twenty "
                    + "that were refused, and not those that follow them")
        }
        let report = SecondariesReport.read(store.layout, on: store.environment.disk)
        if !store.isLive, let report {
            note("note: as its writer reported at \(Clock(isUTC: utc).full(report.time))")
        }
        if found.quarantined > 0 { throw ExitStatus.warnings }
    }

    private func line(_ commit: SecondariesReport.Commit) -> String {
        line(
            commit.sequence, commit.refusedAt,
            escapingControls(commit.rows.prefix(3).joined(separator: ", ")), commit.reason,
            commit.attempts, others: commit.others)
    }

    private static func json(_ commit: SecondariesReport.Commit) -> JSON {
        .object([
            ("v", .number(1)), ("sequence", .number(commit.sequence)),
            ("records", .number(commit.records)), ("reason", .string(commit.reason)),
            ("refusedAt", .time(commit.refusedAt)), ("attempts", .number(commit.attempts)),
            ("others", .number(commit.others)),
            ("rows", .array(commit.rows.map { .string($0) })),
        ])
    }
}
