package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The names of a store's tables, for what is said of records that cannot be read.
package struct TableNames: Sendable {
    private var names: [UInt32: String] = [:]

    package init() {}

    init(_ tables: SalvagedTables) {
        names = tables.definitions.mapValues(\.schema.name)
    }

    package init(_ catalog: Catalog) {
        for definition in catalog.tables { names[definition.id] = definition.schema.name }
    }

    /// All that database, snapshots, staging and what can be read of the log name.
    package init(_ store: StoreInspection) throws {
        let environment = store.environment
        var tables = SalvagedTables()
        for definition in store.database.contents?.tables ?? [] { tables.note(definition) }
        for sequence in try SnapshotReader.sequences(environment) {
            // A damaged one names nothing.
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

    /// The tables that lost records belong to, each in its name; of those that share a bit, `a or b`. nil if a header
    /// is lost that would have to say it.
    package func list(_ lost: LostTables) -> [String]? {
        lost.isComplete ? words(lost.tables) : nil
    }

    /// `of table ev`, `of tables ev and player`, `of tables ev or player` if only a part of what a block held is lost.
    package func text(_ lost: LostTables) -> String {
        let names = words(lost.tables)
        if names.isEmpty { return lost.isComplete ? "of no table (marks)" : "tables unknown" }
        let all =
            names.count == 1
            ? "of table " + names[0]
            : "of tables " + names.dropLast().joined(separator: ", ")
                + (lost.isExact ? " and " : " or ") + names[names.count - 1]
        return lost.isComplete ? all : all + ", maybe of others too"
    }

    /// A mark belongs to table 0, which is none.
    private func words(_ tables: TableSet) -> [String] {
        var words: [String] = []
        for bit: UInt32 in 0..<64 where tables.contains(bit) {
            let known = names.keys.filter { $0 % 64 == bit }.sorted().compactMap { names[$0] }
            if !known.isEmpty {
                words.append(known.joined(separator: " or "))
            } else if bit > 0 {
                words.append("number \(bit)")
            }
        }
        return words
    }
}

extension SalvagedTables {
    /// Takes in what the readable ones of these blocks define.
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
    /// The tables that the file itself and the store around it name.
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
