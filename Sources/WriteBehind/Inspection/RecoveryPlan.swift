import EventLog

/// What is wrong with a store that nobody writes, what is lost, and what would make it good again.
package struct RecoveryPlan: Sendable {
    package enum Step: Sendable, Equatable {
        /// Bytes at the log's end move to `quarantine/`.
        case cutTail(path: String, offset: Int, bytes: Int)
        /// The write buffer's commits go into the log.
        case takeStaged(commits: Int, through: UInt64)
        /// The database is kept under another name.
        case setDatabaseAside(reason: String)
        case rebuildDatabase(snapshot: UInt64, records: UInt64)
        /// The database takes what the log has and it has not.
        case rollForward(records: UInt64)
    }

    package enum Database: Sendable, Equatable {
        case missing
        case good
        case behind(UInt64)
        /// Rows differ from the log.
        case drifted(UInt64)
        case unusable(reason: String)
    }

    package let store: StoreInspection
    package let log: LogVerification
    package let database: Database
    package private(set) var steps: [Step] = []
    package private(set) var seconds = 0.0

    /// - Parameter differs: told each row that differs.
    package init(
        _ store: StoreInspection, jobs: Int,
        progress: @Sendable (Int) -> Void,
        differs: (String, DatabaseVerification.Difference) -> Void
    ) throws {
        self.store = store
        log = try LogVerification(store, jobs: jobs, progress: progress)
        database = try Self.judge(store, differs)
        guard isRepairable else { return }
        addLogSteps()
        try addDatabaseSteps()
    }

    /// Whether the log itself is damaged where it had been durable: then only salvage into a new
    /// store helps.
    package var isRepairable: Bool { log.worst != .corrupt }

    /// Whether there is something to do.
    package var isNeeded: Bool { !isRepairable || !steps.isEmpty }

    /// The sequences that cannot be read.
    package var lost: [ClosedRange<UInt64>] { log.findings.compactMap(\.lost) }

    private static func judge(
        _ store: StoreInspection,
        _ differs: (String, DatabaseVerification.Difference) -> Void
    ) throws -> Database {
        switch store.database.state {
        case .missing: return .missing
        case .foreign: return .unusable(reason: "it belongs to another store")
        case .unreadable(let reason): return .unusable(reason: reason)
        case .readable(let contents):
            let watermark = contents.watermark.sequence
            guard watermark <= store.readable else {
                return .unusable(
                    reason: "it reflects #\(watermark), and the log ends at #\(store.readable)")
            }
            do {
                let result = try DatabaseVerification(store, report: differs)
                if let fault = result.fault { return .unusable(reason: fault) }
                if result.differenceCount > 0 { return .drifted(result.differenceCount) }
            } catch let error as HistoryError {
                // A disk that cannot be read says nothing of the database.
                if error.isOfDisk { throw error }
                // Neither proof nor doubt: the log no longer tells, so the database is all there
                // is.
                guard case .gone = error else { return .unusable(reason: "\(error)") }
            } catch {
                return .unusable(reason: "\(error)")
            }
            return watermark < store.end ? .behind(store.end - watermark) : .good
        }
    }

    private mutating func addLogSteps() {
        guard let plan = store.log?.plan, let tail = store.log?.tail else { return }
        if plan.tornBytes > 0 {
            steps.append(.cutTail(path: tail.path, offset: tail.goodEnd, bytes: plan.tornBytes))
        }
        if plan.commitsFromStaging > 0 {
            steps.append(.takeStaged(commits: plan.commitsFromStaging, through: plan.end))
        }
    }

    private mutating func addDatabaseSteps() throws {
        switch database {
        case .good: return
        case .behind(let records):
            steps.append(.rollForward(records: records))
            seconds += Double(records) / 400_000
            return
        case .missing where store.end == 0: return
        case .missing: break
        case .drifted(let rows): steps.append(.setDatabaseAside(reason: "\(rows) rows differ"))
        case .unusable(let reason): steps.append(.setDatabaseAside(reason: reason))
        }
        let plan = try ReplayPlan(
            store, to: .end, exclusive: false, needsStatements: false, tables: nil)
        steps.append(.rebuildDatabase(snapshot: plan.snapshot, records: plan.records))
        seconds += plan.seconds
    }
}

extension RecoveryPlan {
    /// Carries the plan out: what opening the store does, after a database that cannot serve is
    /// put aside.
    ///
    /// - Parameters:
    ///   - configuration: of the store that is opened.
    ///   - progress: told how far the database is.
    /// - Returns: where the database was put.
    package func apply(
        _ configuration: StoreConfiguration = .forTools, progress: @Sendable (UInt64) -> Void
    ) async throws -> String? {
        var aside: String?
        let (layout, disk) = (store.layout, store.environment.disk)
        if steps.contains(where: \.isSettingAside) {
            // Held until the database is out of the way: nobody may open the store in between.
            guard let lock = try disk.lock(layout.lock) else {
                throw StoreError.locked(path: layout.lock)
            }
            aside = try withExtendedLifetime(lock) {
                try SQLiteSink.setAside(
                    path: layout.database, reason: "recover",
                    isOurs: store.database.state != .foreign, disk: disk
                ).path
            }
        }
        let opened = try Store(
            at: layout.root, configuration: configuration,
            environment: .machine(configuration, disk: disk))
        do {
            while opened.health.lag.materialized < opened.health.lag.staged {
                progress(opened.health.lag.materialized)
                if opened.health.verdict >= .stalled {
                    throw StoreError.database(opened.health.causes.joined(separator: "; "))
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        } catch {
            _ = try? await opened.close()
            throw error
        }
        try await opened.close()
        return aside
    }
}

extension RecoveryPlan.Step {
    var isSettingAside: Bool {
        if case .setDatabaseAside = self { true } else { false }
    }
}
