import EventLog
import TestSupport
import WriteBehindCore

// A projection that keeps a second copy of a table, made from the changes that it receives.

/// The content of the projection.
struct Mirror {
    static let name = "mirror"
    /// The table that it follows.
    static let table: UInt32 = 1

    var rows: [Row: [UInt8]] = [:]
    /// The sequences of the changes that it saw since it was built.
    var seen: [UInt64] = []
    /// The watermark of the database when it was built.
    var builtAt: UInt64 = 0
    /// The first change whose old row is not the row after the change before it.
    var fault: String?
}

extension SimulatedDatabase.Content {
    private func isFollowed(_ table: UInt32) -> Bool { follows.contains(table) }

    func refuseFollowed(_ table: UInt32) throws(SinkError) {
        if isFollowed(table) { throw SinkError(.constraint, "a projection follows the table") }
    }

    mutating func project(_ row: Row, from old: [UInt8]?, _ sequence: UInt64) {
        touched.insert(row.table)
        guard isFollowed(row.table) else { return }
        if mirror.rows[row] != old {
            mirror.fault = mirror.fault ?? "\(row) at \(sequence) was not what it had come to be"
        }
        mirror.rows[row] = rows[row]
        mirror.seen.append(sequence)
    }

    mutating func projectClear(of table: UInt32, _ sequence: UInt64) {
        touched.insert(table)
        guard isFollowed(table) else { return }
        mirror.rows = [:]
        mirror.seen.append(sequence)
    }
}

extension SimulatedSink {
    private func book(of content: Content) -> ProjectionBook {
        var book = ProjectionBook()
        book.stored = content.projections
        book.declared = declared.declared
        return book
    }

    func currentProjections(of content: Content) -> [ProjectionDeclaration] {
        book(of: content).declared(.current, at: content.watermark)
    }

    /// Ends a transaction that may have changed rows.
    func followTransaction(
        _ content: inout Content, from old: Watermark, _ before: [Row: [UInt8]]
    ) {
        var tables = content.touched
        for row in Set(before.keys).union(content.rows.keys) where before[row] != content.rows[row]
        {
            tables.insert(row.table)
        }
        var book = book(of: content)
        _ = book.advance(from: old, to: content.watermark, changing: tables)
        content.projections = book.stored
    }

    var orderedTables: TableSet {
        currentProjections(of: present).reduce(into: TableSet()) { $0.insert($1.table) }
    }

    var awaitsProjections: Bool { book(of: present).isAwaited(at: present.watermark) }

    var projections: [ProjectionStatus]? { book(of: present).status(at: present.watermark) }

    /// Builds the whole projection at once.
    func buildProjections() throws(SinkError) -> Next {
        let content = present
        let unbuilt = book(of: content).declared(.unbuilt, at: content.watermark)
        guard let next = unbuilt.first, content.tables[next.table] != nil else {
            return .wait(nanoseconds: nil)
        }
        try transaction { (content) throws(SinkError) in
            content.mirror = Mirror()
            content.mirror.rows = content.rows.filter { $0.key.table == next.table }
            content.mirror.builtAt = content.watermark.sequence
            content.projections[next.name] = StoredProjection(
                name: next.name, version: next.version, table: next.table,
                watermark: content.watermark)
        }
        return .stepAgain
    }
}

extension SimulatedStore {
    /// Declares the projection in most lives: a program may leave it out, or declare another version.
    func declareProjection(_ end: End) {
        guard hasProjection, let store else { return }
        _ = store.projections.declare(
            ProjectionDeclaration(
                name: Mirror.name, version: end.salt.isMultiple(of: 7) ? 2 : 1,
                table: Mirror.table, effects: ()))
        store.materializer.work.raise()
    }

    /// A projection at the database's watermark equals its table, and saw each change once and in order.
    func checkProjection(_ content: SimulatedDatabase.Content) {
        guard let stored = content.projections[Mirror.name],
            stored.watermark == content.watermark
        else { return }
        let mirror = content.mirror
        if let wrong = mirror.fault { return fail("projection", wrong) }
        let table = content.rows.filter { $0.key.table == Mirror.table }
        if mirror.rows != table {
            return fail("projection", "it has \(mirror.rows.count) rows of \(table.count)")
        }
        if Set(mirror.seen).count != mirror.seen.count {
            return fail("projection", "it saw a change twice: \(mirror.seen)")
        }
        // Commits that were refused come later, or never.
        guard everRefused.isEmpty, conflicts.isEmpty, !mirror.seen.isEmpty || hasProjection
        else { return }
        if zip(mirror.seen, mirror.seen.dropFirst()).contains(where: { $0 >= $1 }) {
            return fail("projection", "it saw changes out of order: \(mirror.seen)")
        }
        let (first, last) = (
            model.count(through: mirror.builtAt), model.count(through: content.watermark.sequence)
        )
        guard first < last else { return }
        let changes = model.commits[first..<last].reduce(0) { sum, commit in
            let count = commit.changes.count { $0.key.table == Mirror.table }
            // An older program's put is one record, and a change of each of its columns.
            let isOneRecord = commit.receipt.firstSequence == commit.receipt.sequence
            return sum + (isOneRecord ? min(1, count) : count)
        }
        if changes != mirror.seen.count {
            fail("projection", "it saw \(mirror.seen.count) changes of \(changes)")
        }
    }

    /// After all trouble the projection is built, and holds everything.
    func checkProjectionIsCurrent() {
        guard fault == nil, hasProjection, let store,
            store.engine.tables[Mirror.table] != nil
        else { return }
        for _ in 0..<100 where store.engine.projectionHealth.first?.state != .current {
            if case .wait = store.materializer.step() { time.advance(milliseconds: 100) }
        }
        let health = store.engine.projectionHealth.first
        if health?.state != .current || health?.records != 0 {
            fail("projection", "at the end it is \(health.map { "\($0)" } ?? "not there")")
        }
    }
}
