import EventLog
import Foundation
package import WriteBehindCore
import WriteBehindSQLite

/// A store in numbers, at one moment.
package struct StoreSummary: Sendable {
    package struct Pile: Sendable, Equatable {
        package var count = 0
        package var bytes = 0
    }

    package struct Lag: Sendable, Equatable {
        package var records: UInt64 = 0
        /// Log on disk that the database does not reflect.
        package var bytes = 0
        /// When the oldest record of it was written, milliseconds since 1970.
        package var since: UInt64?
    }

    package struct Snapshot: Sendable, Equatable {
        package var sequence: UInt64
        package var bytes: Int
    }

    package let store: StoreInspection
    package private(set) var first: UInt64 = 1
    package private(set) var segments = Pile()
    package private(set) var snapshots: [Snapshot] = []
    /// Files that recovery kept.
    package private(set) var keptFiles = Pile()
    package private(set) var databaseBytes = 0
    /// The part of these in the WAL.
    package private(set) var walBytes = 0
    package private(set) var stagingBytes = 0
    /// The time of the last record in segments or staging, milliseconds since 1970.
    package private(set) var lastTime: UInt64?
    /// nil if there is no database to be behind. For one that nobody has looked at, as its writer says.
    package private(set) var lag: Lag?
    /// When the summary was made, milliseconds since 1970.
    package let time: UInt64
    /// Records that were written in the last ``recently``.
    package private(set) var recentRecords: UInt64 = 0
    package let room: DiskRoom?
    /// The writer's report about itself, if it is not well; the last report if the writer died.
    package let report: WriterReport?
    /// The writer's last report about its secondary databases.
    package let secondaries: SecondariesReport?
    package let changeStreams: StreamList
    package let projections: ProjectionList

    /// Milliseconds.
    package static let recently: UInt64 = 10_000

    package init(_ store: StoreInspection) throws {
        self.store = store
        time = UInt64(max(0, Date().timeIntervalSince1970 * 1000))
        room = DiskRoom(of: store.layout.root)
        report = WriterReport.read(store.layout, on: store.environment.disk)
        secondaries = SecondariesReport.read(store.layout, on: store.environment.disk)
        changeStreams = try StreamList(store)
        projections = try ProjectionList(store)
        let layout = store.layout
        first = try store.first
        segments = pile(layout.log, where: { StoreLayout.sequence(ofFileNamed: $0) != nil })
        snapshots = names(layout.snapshots).compactMap { name in
            StoreLayout.sequence(ofFileNamed: name).map {
                Snapshot(sequence: $0, bytes: byteCount(layout.snapshots + "/" + name))
            }
        }.sorted { $0.sequence < $1.sequence }
        keptFiles = pile(layout.aside, where: { _ in true })
        if store.database.isFile {
            walBytes = byteCount(layout.database + "-wal")
            databaseBytes = byteCount(layout.database) + walBytes
        } else {
            databaseBytes = store.database.contents?.bytes ?? 0
        }
        stagingBytes = byteCount(layout.staging)
        let watermark = materialized
        var lag = Lag()
        try measure(behind: watermark, &lag)
        if let watermark {
            lag.records = store.end - min(watermark, store.end)
            self.lag = lag
        }
    }

    /// What the store's writer said of its own database, if that is elsewhere and nobody has looked at it.
    package var primary: SecondariesReport.Database? {
        guard case .elsewhere(let place) = store.database.state else { return nil }
        return secondaries?.primary.flatMap { $0.name == place ? $0 : nil }
    }

    /// The database's watermark.
    package var materialized: UInt64? {
        store.database.contents?.watermark.sequence ?? primary?.materialized
    }

    /// The commits in quarantine; nil if that is not known.
    package var quarantined: Int? {
        store.database.contents?.quarantine.commitCount ?? primary?.quarantined
    }

    /// Walks the block headers above the watermark.
    private mutating func measure(behind watermark: UInt64?, _ lag: inout Lag) throws {
        let environment = store.environment
        let bases = try LogReader.segmentBases(environment)
        // Recent writes may have started a new segment, so the one before it is read too.
        let last = bases.dropLast().last ?? 0
        let start = min(last, bases.last { $0 <= (watermark ?? .max) } ?? 0)
        for base in bases where base >= start {
            let path = environment.layout.segment(base)
            guard case .opened(let segment) = try SegmentReader.open(path, on: environment.disk)
            else { break }
            for (header, _) in try segment.headers() where header.firstSequence <= store.readable {
                lastTime = header.time / 1000
                if header.time / 1000 + Self.recently > time {
                    recentRecords += UInt64(header.count)
                }
                guard let watermark, header.nextSequence > watermark + 1 else { continue }
                lag.bytes += BlockHeader.byteCount + Int(header.packedLength)
                let time = header.time / 1000
                lag.since = lag.since ?? time - min(time, UInt64(header.span))
            }
        }
        for commit in store.log?.staged ?? [] {
            lastTime = max(lastTime ?? 0, commit.time)
            guard watermark != nil else { continue }
            lag.bytes += commit.records.count
            lag.since = lag.since ?? commit.time
        }
    }

    private func names(_ directory: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    }

    private func byteCount(_ path: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }

    private func pile(_ directory: String, where wanted: (String) -> Bool) -> Pile {
        names(directory).filter(wanted).reduce(into: Pile()) { pile, name in
            pile.count += 1
            pile.bytes += byteCount(directory + "/" + name)
        }
    }
}
