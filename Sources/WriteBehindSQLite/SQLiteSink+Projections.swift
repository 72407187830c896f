package import EventLog
import GRDB
package import WriteBehindCore

// Projections: the calls of the store, and how projections are built beside its work.

extension SQLiteSink {
    /// How many rows are read at once for a projection that is being built.
    private static let pageLimit = 512
    /// When a page has more bytes than this, no further row is added.
    private static let pageBytes = 1 << 20

    private func look<Result>(_ body: (SQLiteProjections.Shown) -> Result) -> Result? {
        guard let projections = writer.withLock({ $0?.projections }) else { return nil }
        var shown = projections.shown.withLock { $0 }
        shown.book.declared = registry.declared
        return body(shown)
    }

    package var orderedTables: TableSet {
        look { shown in
            var tables = TableSet()
            guard !shown.book.isEmpty else { return tables }
            for projection in shown.book.declared(.current, at: shown.watermark) {
                tables.insert(projection.table)
            }
            if let table = shown.tableOfBuild { tables.insert(table) }
            return tables
        } ?? TableSet()
    }

    package var awaitsProjections: Bool {
        look { $0.book.isAwaited(at: $0.watermark) } ?? false
    }

    package var projections: [ProjectionStatus]? {
        look {
            $0.book.status(
                at: $0.watermark, building: $0.buildings, failures: $0.failures,
                stopped: $0.stopped)
        } ?? []
    }

    package func buildProjections() throws(SinkError) -> Next {
        guard look({ !$0.book.declared(.unbuilt, at: $0.watermark).isEmpty }) ?? false else {
            return .wait(nanoseconds: nil)
        }
        let (next, complete) = try withWriter { db, writer in
            defer { writer.projections.show(at: writer.watermark) }
            return try readPage(db, writer)
        }
        if let complete { try install(complete) }
        return next
    }

    /// Reads one page for the projection that is being built.
    /// - Returns: the build, if it has all rows.
    private func readPage(
        _ db: Database, _ writer: SQLiteWriter
    ) throws -> (next: Next, complete: ProjectionBuild?) {
        let projections = writer.projections
        let now = options.now()
        guard let declaration = nextToBuild(projections, writer) else {
            return (.wait(nanoseconds: nil), nil)
        }
        let due = projections.dueTime(of: declaration.name)
        guard now >= due else { return (.wait(nanoseconds: UInt64(due - now) * 1000), nil) }
        guard let build = build(declaration, projections) else { return (.stepAgain, nil) }
        if !build.isComplete {
            guard let (rows, isLast) = try page(for: build, db, projections) else {
                return (.stepAgain, nil)
            }
            let isUnderWay = projections.attempt { build throws(ProjectionBuild.Trouble) in
                try build.read(rows, isLast: isLast, at: UInt64(max(0, now / 1000)))
            }
            guard isUnderWay else { return (.stepAgain, nil) }
        }
        return (.stepAgain, build.isComplete ? build : nil)
    }

    /// The next rows for a projection; nil if they cannot be read. The store's tables do not wait for that.
    private func page(
        for build: ProjectionBuild, _ db: Database, _ projections: SQLiteProjections
    ) throws -> (rows: ScannedRows, isLast: Bool)? {
        guard let sql = state.withLock({ $0.tables[build.declaration.table] }) else { return nil }
        do {
            return try Self.page(
                sql, Array(sql.schema.valueColumns.indices), after: build.cursor,
                limit: Self.pageLimit, bytes: Self.pageBytes, in: db)
        } catch {
            let error = SinkError(wrapping: error)
            if error.callsForReplacement { throw error }
            projections.attempt { _ throws(ProjectionBuild.Trouble) in
                throw ProjectionBuild.Trouble(error)
            }
            return nil
        }
    }

    /// The projection that is being built, or else the next one to try among those whose table exists.
    private func nextToBuild(
        _ projections: SQLiteProjections, _ writer: SQLiteWriter
    ) -> ProjectionDeclaration? {
        var book = projections.book
        book.declared = registry.declared
        let unbuilt = book.declared(.unbuilt, at: writer.watermark).filter {
            !projections.stopped.contains($0.name) && holds($0.table)
        }
        if let build = projections.build {
            if let same = unbuilt.first(where: { $0.name == build.declaration.name }) {
                return same
            }
            projections.build = nil
        }
        // A projection that fails again and again comes after those that were not tried yet.
        return unbuilt.min {
            projections.dueTime(of: $0.name) < projections.dueTime(of: $1.name)
        }
    }

    /// The build that is under way, or a new one.
    private func build(
        _ declaration: ProjectionDeclaration, _ projections: SQLiteProjections
    ) -> ProjectionBuild? {
        if let build = projections.build { return build }
        do throws(ProjectionBuild.Trouble) {
            projections.build = try ProjectionBuild(declaration) { () throws(SinkError) in
                try scratch()
            }
            return projections.build
        } catch {
            projections.note(error, of: declaration)
            return nil
        }
    }

    /// Replaces the former version of a projection by the one that was built.
    private func install(_ build: ProjectionBuild) throws(SinkError) {
        let declaration = build.declaration
        var trouble: ProjectionBuild.Trouble?
        do throws(SinkError) {
            try changeProjection(declaration.name) { db, watermark in
                do {
                    let stored = StoredProjection(
                        name: declaration.name, version: declaration.version,
                        table: declaration.table, watermark: watermark)
                    try ProjectionTable.insert(stored, try build.install(in: db), db)
                    return stored
                } catch {
                    trouble = ProjectionBuild.Trouble(error)
                    throw error
                }
            }
        } catch {
            // What is damaged may be the scratch database.
            let isCalledFor = try error.kind == .corrupt ? isDamaged() : true
            if error.callsForReplacement, isCalledFor { throw error }
            trouble = trouble ?? ProjectionBuild.Trouble(error)
        }
        try withWriter { _, writer in
            let projections = writer.projections
            if let trouble {
                projections.note(trouble, of: declaration)
                if !trouble.mayPass || projections.failsOften(declaration.name) {
                    projections.build = nil
                }
            } else {
                projections.forget(declaration.name)
            }
            projections.show(at: writer.watermark)
        }
    }

    private func isDamaged() throws(SinkError) -> Bool {
        try withWriter { db, _ in try db.isDamaged() }
    }

    /// Drops the objects of a projection and changes its stored state, in one transaction.
    private func changeProjection(
        _ name: String, _ body: (Database, Watermark) throws -> StoredProjection?
    ) throws(SinkError) {
        let watermark = try self.watermark()
        try transaction(through: watermark) { db, writer throws(SinkError) in
            try throwingSinkError {
                try ProjectionTable.remove(name, db)
                writer.projections.note(try body(db, watermark), named: name)
            }
        }
    }

    package func removeProjection(_ name: String) throws(SinkError) -> Bool {
        try forgetBuild(of: name)
        guard look({ $0.book.stored[name] != nil }) ?? false else { return false }
        try changeProjection(name) { _, _ in nil }
        return true
    }

    package func rebuildProjection(_ name: String) throws(SinkError) -> Bool {
        try forgetBuild(of: name)
        guard var stored = look({ $0.book.stored[name] }) ?? nil else {
            return registry.declared[name] != nil
        }
        stored.watermark = StoredProjection.nowhere
        stored.failure = nil
        let watermark = try self.watermark()
        try transaction(through: watermark) { [stored] db, writer throws(SinkError) in
            try throwingSinkError { try ProjectionTable.forgetPlace(of: name, db) }
            writer.projections.note(stored, named: name)
        }
        return true
    }

    private func forgetBuild(of name: String) throws(SinkError) {
        try withWriter { _, writer in
            writer.projections.forget(name)
            writer.projections.show(at: writer.watermark)
        }
    }

    /// An empty database beside the store's.
    private func scratch() throws(SinkError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "WriteBehind projection"
        configuration.prepareDatabase { [options] db in
            try Configuration.keepTemporariesInMemory(db)
            // The file need not survive any crash.
            try db.execute(
                sql: """
                    PRAGMA journal_mode = MEMORY;
                    PRAGMA synchronous = OFF;
                    PRAGMA cache_size = -\(options.readerCache);
                    """)
        }
        guard !isInMemory else {
            return try throwingSinkError { try DatabaseQueue(configuration: configuration) }
        }
        let file = path + ".projection"
        do throws(SystemError) {
            // A process may have been killed before it unlinked the file.
            if try disk.exists(file) { try disk.remove(file) }
            // For its mode: SQLite would leave that to the umask.
            _ = try disk.open(file, .createExclusively)
        } catch {
            throw SinkError(.io, "\(error)")
        }
        let queue = try throwingSinkError {
            try DatabaseQueue(path: file, configuration: configuration)
        }
        do throws(SystemError) {
            try disk.remove(file)
        } catch {
            throw SinkError(.io, "\(error)")
        }
        return queue
    }
}
