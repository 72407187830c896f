package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The faults of a store that no process writes, the losses, and the steps that would repair it.
package struct RecoveryPlan: Sendable {
    package enum Step: Sendable, Equatable {
        /// The steps of opening the log.
        case log(Judgement.Step)
        /// The database is kept under another name.
        case setDatabaseAside(reason: String)
        case rebuildDatabase(snapshot: UInt64, records: UInt64)
        /// The store must be given an empty one, because nobody but its users may put a server's aside.
        case giveEmptyDatabase(reason: String)
        /// The rest of the log is applied to the database.
        case rollForward(records: UInt64)
        /// Damaged snapshots move to `aside/`, and a new one is made.
        case remakeSnapshots([UInt64])
        /// Snapshots that are ahead of the log move to `aside/`.
        case setSnapshotsAside([UInt64])
    }

    package let store: StoreInspection
    package let log: LogVerification
    package let snapshots: SnapshotVerification
    package let database: DatabaseJudgement
    /// Why a database cannot be built; nil if it can, or if that is not needed.
    package private(set) var obstacle: String?
    package private(set) var steps: [Step] = []
    package private(set) var seconds = 0.0

    /// - Parameter differs: gets each row that differs.
    package init(
        _ store: StoreInspection, jobs: Int,
        progress: @Sendable (Int) -> Void,
        differs: (String, DatabaseVerification.Difference) -> Void
    ) throws {
        self.store = store
        log = try LogVerification(store, jobs: jobs, progress: progress)
        snapshots = try SnapshotVerification(store.environment, jobs: jobs)
        if let obstacle = snapshots.obstacle { throw obstacle }
        database = try DatabaseJudgement(store, verified: snapshots.good, report: differs)
        guard log.worst != .corrupt else { return }
        let base = try rebuildBase()
        // If they count as evidence, the log is damaged.
        let ahead = snapshots.snapshots.map(\.sequence).filter { $0 > store.end }
        if !ahead.isEmpty { steps.append(.setSnapshotsAside(ahead)) }
        steps += (store.log?.judgement.steps ?? []).map(Step.log)
        try addDatabaseSteps(base)
        let damaged = snapshots.damaged.filter { $0 <= store.end }
        if !damaged.isEmpty, case .success = base { steps.append(.remakeSnapshots(damaged)) }
    }

    /// Whether log and snapshots together still hold everything; the reason if not.
    private func rebuildBase() throws -> Result<Void, HistoryError> {
        do throws(HistoryError) {
            _ = try store.history(verified: snapshots.good).goodBase { _ in }
            return .success(())
        } catch {
            if error.isOfDisk { throw error }
            return .failure(error)
        }
    }

    /// Whether the store can be repaired. If the log is damaged where it had been durable, only salvage into a new
    /// store helps.
    package var isRepairable: Bool { log.worst != .corrupt && obstacle == nil }

    /// Whether there is something to do.
    package var isNeeded: Bool { !isRepairable || !steps.isEmpty }

    /// Whether its steps can be carried out here.
    package var isForTool: Bool {
        !steps.contains { if case .giveEmptyDatabase = $0 { true } else { false } }
    }

    /// The records that cannot be read.
    package var lost: [Loss] { log.findings.compactMap(\.loss) }

    private mutating func addDatabaseSteps(_ base: Result<Void, HistoryError>) throws {
        if case .elsewhere = database { return }
        if !store.database.isFile, let reason = database.reasonToReplace {
            steps.append(.giveEmptyDatabase(reason: reason))
            return
        }
        if let watermark = database.watermark, database.reasonToReplace == nil {
            guard watermark < store.end else { return }
            let records = store.end - watermark
            steps.append(.rollForward(records: records))
            seconds += Double(records) / 400_000
            return
        }
        if database.reasonToReplace == nil, store.end == 0 { return }
        if case .failure(let error) = base {
            obstacle = "\(error)"
            return
        }
        if let reason = database.reasonToReplace {
            steps.append(.setDatabaseAside(reason: reason))
        }
        let plan = try ReplayPlan(
            store, to: .end, exclusive: false, needsStatements: false, tables: nil)
        steps.append(.rebuildDatabase(snapshot: plan.snapshot, records: plan.records))
        seconds += plan.seconds
    }
}

extension RecoveryPlan {
    /// Carries the plan out: puts an unusable database aside, and then opens the store, which does the
    /// rest.
    ///
    /// - Parameters:
    ///   - opener: of a database that is no file of the store's directory.
    ///   - configuration: of the store that is opened.
    ///   - progress: gets the database's watermark.
    /// - Returns: the path to which the old database was moved; nil if it was not.
    package func apply(
        _ configuration: StoreConfiguration = .forTools, opener: (any SinkOpener)? = nil,
        progress: @Sendable (UInt64) -> Void
    ) async throws -> String? {
        let (layout, disk) = (store.layout, store.environment.disk)
        let environment = try ToolStore.environment(
            layout.root, opener, configuration, disk: disk)
        let aside = try putAside()
        if !store.trustsWitnesses { try believeSegments() }
        let opened = try Store(
            at: layout.root, configuration: configuration, environment: environment)
        do {
            while opened.health.lag.materialized < opened.health.lag.staged {
                progress(opened.health.lag.materialized)
                if opened.health.verdict >= .stalled {
                    throw StoreError.database(opened.health.causes.joined(separator: "; "))
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            if steps.contains(where: \.isRemakingSnapshots) { try await opened.snapshot() }
        } catch {
            _ = try? await opened.close()
            throw error
        }
        try await opened.close()
        return aside
    }
}

extension RecoveryPlan {
    private func believeSegments() throws {
        let held = try FencedDisk.taking(store.layout, on: store.environment.disk)
        defer { held.release() }
        var environment = store.environment
        environment.disk = held
        try LogInspection.believeSegments(environment)
    }

    /// Moves unusable files aside. The store stays locked meanwhile.
    private func putAside() throws -> String? {
        guard steps.contains(where: \.isMovingFiles) else { return nil }
        let layout = store.layout
        let held = try FencedDisk.taking(layout, on: store.environment.disk)
        defer { held.release() }
        var environment = store.environment
        environment.disk = held
        var aside: String?
        for step in steps {
            switch step {
            case .setDatabaseAside:
                aside = try SQLiteSink.putAside(
                    path: layout.database, reason: "recover", into: layout.aside,
                    isOurs: store.database.state != .foreign, disk: held
                ).path
            case .remakeSnapshots(let sequences), .setSnapshotsAside(let sequences):
                _ = try SnapshotVerification.putAside(sequences, in: environment)
            default: break
            }
        }
        return aside
    }
}

extension RecoveryPlan.Step {
    fileprivate var isMovingFiles: Bool {
        switch self {
        case .setDatabaseAside, .remakeSnapshots, .setSnapshotsAside: true
        default: false
        }
    }

    fileprivate var isRemakingSnapshots: Bool {
        if case .remakeSnapshots = self { true } else { false }
    }
}
