/// A projection as the database keeps it, in the same transactions as its rows.
package struct StoredProjection: Sendable, Equatable {
    /// Why it has stopped.
    package struct Failure: Sendable, Equatable {
        package var message: String
        /// The commit at which it stopped; 0 if it was being built.
        package var sequence: UInt64
        /// Microseconds since 1970.
        package var since: Int64

        package init(message: String, sequence: UInt64, since: Int64) {
            (self.message, self.sequence, self.since) = (message, sequence, since)
        }
    }

    package var name: String
    package var version: Int
    package var table: UInt32
    /// It has seen everything through here. If this equals the database's own watermark, it has missed nothing.
    package var watermark: Watermark
    package var failure: Failure?

    package init(
        name: String, version: Int, table: UInt32, watermark: Watermark, failure: Failure? = nil
    ) {
        (self.name, self.version, self.table) = (name, version, table)
        (self.watermark, self.failure) = (watermark, failure)
    }

    /// The watermark of a projection that has missed something.
    package static var nowhere: Watermark { Watermark(sequence: .max, chain: 0) }
}

/// The state of a projection, for health.
package struct ProjectionStatus: Sendable, Equatable {
    package enum Phase: Sendable, Equatable {
        case current
        /// How many rows it has read.
        case building(rows: Int)
        case stopped
        /// The database keeps it, and the program has not declared it.
        case undeclared
    }

    package var name: String
    package var version: Int
    package var table: UInt32
    package var phase: Phase
    /// The projection reflects everything through this sequence; nil if it has missed something.
    package var sequence: UInt64?
    /// Why it has stopped, or why it cannot be built.
    package var failure: StoredProjection.Failure?
}

/// The rules of projections, which are the same in all databases.
///
/// A projection is *current* if the watermark that is stored with it equals the database's own: then it has seen every
/// commit that the database has. It gets the next commit in the same transaction, and both watermarks move. If a projection
/// misses a commit (the program has not declared it, or an older program has written the database), its watermark stays
/// behind, and it is built again when it is declared.
package struct ProjectionBook: Sendable {
    package var stored: [String: StoredProjection] = [:]
    package var declared: [String: ProjectionDeclaration] = [:]

    package init() {}

    package var isEmpty: Bool { stored.isEmpty && declared.isEmpty }

    package enum Phase: Equatable { case current, unbuilt, stopped }

    package func phase(
        of projection: ProjectionDeclaration, at watermark: Watermark
    ) -> Phase {
        guard let stored = stored[projection.name], stored.version == projection.version,
            stored.table == projection.table
        else { return .unbuilt }
        if stored.failure != nil { return .stopped }
        return stored.watermark == watermark ? .current : .unbuilt
    }

    /// The declared projections in this state, in the order of their names.
    package func declared(
        _ phase: Phase, at watermark: Watermark
    ) -> [ProjectionDeclaration] {
        declared.values.filter { self.phase(of: $0, at: watermark) == phase }
            .sorted { $0.name < $1.name }
    }

    /// Whether a projection that has missed nothing is not declared yet.
    package func isAwaited(at watermark: Watermark) -> Bool {
        stored.values.contains {
            $0.failure == nil && $0.watermark == watermark && declared[$0.name] == nil
        }
    }

    /// Notes a transaction that changes rows of `tables`, and may move the database's watermark.
    ///
    /// - Returns: the projections whose watermark changes.
    package mutating func advance(
        from old: Watermark, to new: Watermark, changing tables: Set<UInt32>
    ) -> [StoredProjection] {
        var moved: [StoredProjection] = []
        for (name, projection) in stored {
            guard projection.failure == nil, projection.watermark == old else { continue }
            let isFollowed = declared[name].map { phase(of: $0, at: old) == .current } ?? false
            let hasMissed = !isFollowed && tables.contains(projection.table)
            stored[name]?.watermark = hasMissed ? StoredProjection.nowhere : new
            if let projection = stored[name], projection.watermark != old {
                moved.append(projection)
            }
        }
        return moved
    }

    /// - Parameters:
    ///   - building: for each projection that is being built, how many rows it has read.
    ///   - failures: why some cannot be built.
    ///   - stopped: those of the latter that are not tried again.
    package func status(
        at watermark: Watermark, building: [String: Int] = [:],
        failures: [String: StoredProjection.Failure] = [:], stopped: Set<String> = []
    ) -> [ProjectionStatus] {
        var all: [ProjectionStatus] = declared.values.map { projection in
            let stored = stored[projection.name]
            let phase = phase(of: projection, at: watermark)
            let shown: ProjectionStatus.Phase =
                switch phase {
                case .current: .current
                case .stopped: .stopped
                case .unbuilt where stopped.contains(projection.name): .stopped
                case .unbuilt: .building(rows: building[projection.name] ?? 0)
                }
            return ProjectionStatus(
                name: projection.name, version: projection.version, table: projection.table,
                phase: shown, sequence: phase == .current ? watermark.sequence : nil,
                failure: phase == .unbuilt ? failures[projection.name] : stored?.failure)
        }
        for projection in stored.values where declared[projection.name] == nil {
            let isCurrent = projection.failure == nil && projection.watermark == watermark
            all.append(
                ProjectionStatus(
                    name: projection.name, version: projection.version, table: projection.table,
                    phase: .undeclared, sequence: isCurrent ? watermark.sequence : nil,
                    failure: projection.failure))
        }
        return all.sorted { $0.name < $1.name }
    }
}
