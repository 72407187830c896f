package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The names of a store's tables, for messages about records that cannot be read.
package struct TableNames: Sendable {
    private var names: [UInt32: String] = [:]

    package init() {}

    init(_ tables: SalvagedTables) {
        names = tables.definitions.mapValues(\.schema.name)
    }

    package init(_ catalog: Catalog) {
        for definition in catalog.tables { names[definition.id] = definition.schema.name }
    }

    /// All tables that are named by database, snapshots, staging and the readable part of the log.
    package init(_ store: StoreInspection) throws {
        let environment = store.environment
        var tables = SalvagedTables()
        for definition in store.database.contents?.tables ?? [] { tables.note(definition) }
        for sequence in try SnapshotReader.sequences(environment) {
            // A damaged snapshot names no tables.
            guard let snapshot = try? SnapshotReader(of: sequence, in: environment) else {
                continue
            }
            tables.note(records: snapshot.preamble.records)
        }
        for base in try LogReader.segmentBases(environment) {
            guard
                case .opened(let segment) = try SegmentReader.open(
                    environment.layout.segment(base), on: environment.disk)
            else { continue }
            try tables.note(
                segment, try SegmentHeaders(environment, base: base).blocks)
        }
        for staged in try LogInspection.stagedCommits(environment) {
            tables.note(records: staged.records)
        }
        self.init(tables)
    }

    /// A table, and how many of the lost records belong to it.
    package struct Share: Equatable, Sendable {
        /// The table's name; if several tables share a bit, `a or b`.
        package var table: String
        package var records: ClosedRange<UInt64>
    }

    /// The tables that lost records belong to; nil if a header that would name them is lost, too.
    package func list(_ lost: LostTables) -> [Share]? { lost.isComplete ? shares(lost) : nil }

    /// `of table ev`, `of tables ev (1 to 7) and player (1 to 7)`, `of tables ev (0 to 2) or player (0 to 2)` if only a
    /// part of what a block held is lost.
    package func text(_ loss: Loss) -> String {
        let lost = loss.tables
        let shares = shares(lost)
        guard let last = shares.last else {
            return lost.isComplete ? "of no table (marks)" : "tables unknown"
        }
        func text(_ share: Share) -> String {
            let (least, most) = (share.records.lowerBound, share.records.upperBound)
            if !lost.isComplete { return share.table + (least > 0 ? " (at least \(least))" : "") }
            if least == loss.count { return share.table }
            return share.table + (least == most ? " (\(least))" : " (\(least) to \(most))")
        }
        let all =
            shares.count == 1
            ? "of table " + text(last)
            : "of tables " + shares.dropLast().map(text).joined(separator: ", ")
                + (lost.areCertain ? " and " : " or ") + text(last)
        return lost.isComplete ? all : all + ", maybe of others too"
    }

    /// Table 0 is left out, because it stands for marks, which belong to no table.
    private func shares(_ lost: LostTables) -> [Share] {
        (0..<64).compactMap { (bit: UInt32) -> Share? in
            guard let records = lost.count(ofBit: bit) else { return nil }
            let known = names.keys.filter { $0 % 64 == bit }.sorted().compactMap { names[$0] }
            if known.isEmpty, bit == 0 { return nil }
            return Share(
                table: known.isEmpty ? "number \(bit)" : known.joined(separator: " or "),
                records: records)
        }
    }
}

extension SalvagedTables {
    /// Adds the tables that the readable blocks among these define.
    mutating func note(
        _ segment: SegmentReader, _ blocks: [(header: BlockHeader, offset: Int)]
    ) throws {
        var loader = BlockLoader()
        for (header, offset) in blocks
        where !header.flags.isDisjoint(with: [.preamble, .define]) {
            guard try loader.load(header, at: offset, of: segment, chainBefore: nil) == nil
            else { continue }
            var commits = try CommitCursor(header, loader.payload.span)
            if let range = commits.preamble { note(records: Array(loader.payload[range])) }
            guard header.flags.contains(.define) else { continue }
            while let commit = try commits.next(loader.payload.span) {
                note(records: Array(loader.payload[commit.records]))
            }
        }
    }
}

extension StoredFile {
    /// The tables that the file itself names, and those of the store to which it belongs.
    package func tableNames() throws -> TableNames {
        var tables = SalvagedTables()
        for definition in tablesAround().tables { tables.note(definition) }
        guard kind != .snapshot else { return TableNames(tables) }
        for part in parts {
            if case .commit(let staged) = part.content { tables.note(records: staged.records) }
        }
        if case .opened(let file) = try SegmentReader.open(path, on: disk) {
            try tables.note(
                file,
                parts.compactMap {
                    if case .block(let block) = $0.content { (block, $0.offset) } else { nil }
                })
        }
        return TableNames(tables)
    }
}
