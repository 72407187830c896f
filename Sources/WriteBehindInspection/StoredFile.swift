package import EventLog
import Foundation
package import WriteBehindCore

/// One file of a store, read by itself. Reading goes on behind damage.
package struct StoredFile: Sendable {
    package enum Kind: String, Sendable {
        case segment
        case snapshot
        case staging
        /// The end of a segment that recovery cut off.
        case cutOff = "cut-off end of a segment"
    }

    /// A block, a commit of a staging file, or a damaged part.
    package struct Part: Sendable {
        package enum Content: Sendable {
            case block(BlockHeader)
            case commit(LogInspection.StagedCommit)
            case damage(Finding)
        }

        package var offset: Int
        package var content: Content
    }

    package let path: String
    package let kind: Kind
    package let storeID: StoreID
    package let byteCount: Int
    /// The parts in the order of the file.
    package let parts: [Part]
    /// The last sequence that survives power loss; later ones may not. Everything in a segment does.
    package let readable: UInt64
    /// The sequence that a snapshot reflects.
    private let snapshotSequence: UInt64
    let disk: any Disk

    /// nil for a directory, and if there is nothing at the path.
    ///
    /// - Throws: ``LogError`` if the header is not good; ``NoStoredFile`` for a file of another kind.
    package init?(_ path: String, on disk: any Disk = PosixDisk()) throws {
        if let target = Self.target(ofLink: path) {
            guard Self.kind(of: path) == .typeRegular else { return nil }
            throw NoStoredFile(path: path, target: target)
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard attributes?[.type] as? FileAttributeType == .typeRegular else { return nil }
        self.path = path
        self.disk = disk
        byteCount = try disk.open(path, .read).byteCount()
        switch try SegmentReader.open(path, on: disk) {
        case .opened(let file):
            (storeID, snapshotSequence) = (file.header.storeID, file.header.base)
            let (blocks, findings) = try Self.read(file)
            switch file.header.kind {
            case .segment: (kind, readable) = (.segment, .max)
            case .snapshot: (kind, readable) = (.snapshot, .max)
            case .cutOff: (kind, readable) = (.cutOff, 0)
            }
            parts = Self.inOrder(
                blocks.map { Part(offset: $0.offset, content: .block($0.header)) }, findings)
        case .badHeader(.unknownMagic, _):
            guard try StagingHeader.isOne(path, on: disk) else { throw NoStoredFile(path: path) }
            let staging = try StagedFile(path, on: disk)
            snapshotSequence = 0
            (kind, storeID, readable) = (.staging, staging.header.storeID, staging.published ?? 0)
            parts = Self.inOrder(
                staging.commits.map { Part(offset: $0.offset, content: .commit($0.commit)) },
                staging.findings)
        case .badHeader(let fault, _):
            if fault.isNewer { throw LogError.unsupported(path: path, fault) }
            throw NoStoredFile(path: path, reason: "\(fault)")
        }
    }

    /// The kind of file at a path, links followed; nil if there is none.
    static func kind(of path: String) -> FileAttributeType? {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        let kind = attributes?[.type] as? FileAttributeType
        return kind == .typeSymbolicLink ? nil : kind
    }

    /// The target of a symbolic link; nil for anything else.
    static func target(ofLink path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    private static func read(
        _ file: SegmentReader
    ) throws -> (blocks: [(header: BlockHeader, offset: Int)], findings: [Finding]) {
        if file.header.kind == .snapshot {
            let scan = try SnapshotScan(file)
            return (scan.blocks, scan.findings)
        }
        let check = try SegmentCheck(file)
        return (check.good, check.findings)
    }

    private static func inOrder(_ parts: [Part], _ findings: [Finding]) -> [Part] {
        let damage = findings.map { Part(offset: $0.offset ?? 0, content: .damage($0)) }
        return (parts + damage).sorted { $0.offset < $1.offset }
    }

    /// The store's UUID, as `status` prints it.
    package var uuid: String {
        StoreIdentity(storeID: storeID, created: 0).uuid.uuidString.lowercased()
    }

    package var findings: [Finding] {
        parts.compactMap { if case .damage(let finding) = $0.content { finding } else { nil } }
    }

    /// The last sequence in it.
    package var last: UInt64 {
        switch parts.last(where: { if case .damage = $0.content { false } else { true } })?.content
        {
        case .block(let block): kind == .snapshot ? snapshotSequence : block.nextSequence - 1
        case .commit(let staged): staged.commit.lastSequence
        case .damage, nil: 0
        }
    }

    package var recordCount: UInt64 {
        parts.reduce(0) { sum, part in
            switch part.content {
            case .block(let block): sum + UInt64(block.count)
            case .commit(let commit): sum + UInt64(commit.count)
            case .damage: sum
            }
        }
    }
}

/// A file that does not belong to a store, or has lost its header.
package struct NoStoredFile: Error, CustomStringConvertible {
    package var path: String
    package var reason: String?
    /// The target, if it is a symbolic link.
    package var target: String?

    package var description: String {
        if let target {
            return "\(RowName.path(path)) is a symbolic link; give the file itself, "
                + RowName.path(target)
        }
        return "\(RowName.path(path)) is no segment, snapshot or staging file"
            + (reason.map { ": \($0)" } ?? "")
    }
}

extension StoredFile {
    /// The tables of the store in whose directory the file is. They are needed for a file without schemas.
    func tablesAround() -> Catalog {
        let directory = StoreLayout.directory(of: path)
        for root in [directory, StoreLayout.directory(of: directory)] {
            guard let store = try? StoreInspection(path: root, disk: disk),
                store.identity.storeID == storeID, let catalog = try? store.fullCatalog()
            else { continue }
            return catalog
        }
        return Catalog()
    }

    /// Calls `body` for the records in the order of the file, with the tables that are known there, and `damage` for damage
    /// at its place, until one of them returns false.
    package func read(
        _ body: (LoggedRecord, Catalog) throws -> Bool, damage: (Finding) throws -> Bool
    ) throws {
        var reading = Reading(catalog: tablesAround())
        if case .opened(let file) = try SegmentReader.open(path, on: disk) { reading.file = file }
        for part in parts {
            let goesOn =
                switch part.content {
                case .damage(let finding): try damage(finding)
                case .commit(let staged):
                    try reading.records(staged.commit, staged.records.span, body)
                case .block(let block):
                    try kind == .snapshot
                        ? reading.rows(block, at: part.offset, body)
                        : reading.records(block, at: part.offset, body)
                }
            guard goesOn else { return }
        }
    }

    private struct Reading {
        var catalog: Catalog
        var file: SegmentReader?
        var loader = BlockLoader()

        mutating func records(
            _ block: BlockHeader, at offset: Int, _ body: (LoggedRecord, Catalog) throws -> Bool
        ) throws -> Bool {
            guard let file,
                try loader.load(block, at: offset, of: file, chainBefore: nil) == nil
            else { return true }
            let payload = loader.payload
            try catalog.note(block, payload.span)
            var commits = try CommitCursor(block, payload.span)
            while let commit = try commits.next(payload.span) {
                guard try records(commit, payload.span, body) else { return false }
            }
            return true
        }

        mutating func records(
            _ commit: Commit, _ payload: Span<UInt8>,
            _ body: (LoggedRecord, Catalog) throws -> Bool
        ) throws -> Bool {
            try forEachRecord(of: commit, in: payload) { record in
                // If its number does not follow the known tables, a table stays unknown.
                if record.operation == .define {
                    try? catalog.apply(define: record.table, body: record.body.span)
                }
                return try body(record, catalog)
            }
        }

        mutating func rows(
            _ block: BlockHeader, at offset: Int, _ body: (LoggedRecord, Catalog) throws -> Bool
        ) throws -> Bool {
            guard let file else { return true }
            let scan = SnapshotScan(rowsOf: file)
            if block.flags.contains(.preamble) {
                guard let preamble = try scan.schemas(block, at: offset) else { return true }
                catalog = try Catalog(defineRecords: preamble.records.span)
                return true
            }
            var rows: [LoggedRecord] = []
            _ = try scan.forEachRow(of: block, at: offset) { row, key, body in
                rows.append(
                    LoggedRecord(
                        sequence: row.sequence, time: row.time, commit: row.sequence,
                        commitCount: 1, operation: row.operation, table: row.table, key: key,
                        body: body, byteCount: key.count + body.count))
            }
            for row in rows where try !body(row, catalog) { return false }
            return true
        }
    }
}
