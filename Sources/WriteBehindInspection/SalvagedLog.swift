package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The readable commits of a damaged log, from any file: each once, in the order of sequences.
package struct SalvagedLog {
    private struct Piece {
        var segment: Int
        var header: BlockHeader
        var offset: Int
    }

    package let segments: [SegmentCheck]
    /// The last sequence that is known to have been written, readable or not.
    let end: UInt64
    private let environment: LogEnvironment
    private var pieces: [Piece] = []
    private let staged: [LogInspection.StagedCommit]

    /// - Parameter progress: gets the bytes of each segment that was read.
    package init(_ store: StoreInspection, progress: (Int) -> Void = { _ in }) throws {
        environment = store.environment
        segments = try LogReader.segmentBases(environment).map { base in
            let check = try SegmentCheck(store.environment, base: base)
            progress(check.byteCount)
            return check
        }
        staged = try LogInspection.stagedCommits(environment)
        for (index, segment) in segments.enumerated() {
            pieces += segment.good.map {
                Piece(segment: index, header: $0.header, offset: $0.offset)
            }
        }
        // Segments may overlap if a merge was interrupted.
        pieces.sort {
            ($0.header.firstSequence, $0.segment) < ($1.header.firstSequence, $1.segment)
        }
        let ends = segments.map { $0.nextSequence - 1 } + staged.map(\.commit.lastSequence)
        end = max(ends.max() ?? 0, store.published ?? 0, store.damage?.lost?.upperBound ?? 0)
    }

    /// A part of the log.
    private enum Stretch {
        /// The commits of a block, from this sequence on.
        case block(Piece, from: UInt64)
        case staged(LogInspection.StagedCommit)
        case lost(ClosedRange<UInt64>)
    }

    /// Calls `body` for each commit behind `start`, and the other closure for each range of sequences that no file holds,
    /// until one of them returns false.
    ///
    /// - Parameter isBackward: the last commit comes first.
    package func forEachCommit(
        after start: UInt64, isBackward: Bool = false, _ body: (Commit, [UInt8]) throws -> Bool,
        lost: (ClosedRange<UInt64>) throws -> Bool
    ) throws {
        var loader = BlockLoader()
        let stretches = stretches(after: start)
        for index in stretches.indices {
            let goesOn =
                switch stretches[isBackward ? stretches.count - 1 - index : index] {
                case .lost(let range): try lost(range)
                case .staged(let staged): try body(staged.commit, staged.records)
                case .block(let piece, let from):
                    try load(piece, &loader)
                        ? forEachCommit(of: piece, loader.payload, from, isBackward, body)
                        : lost(from...piece.header.nextSequence - 1)
                }
            guard goesOn else { return }
        }
    }

    private func forEachCommit(
        of piece: Piece, _ payload: [UInt8], _ from: UInt64, _ isBackward: Bool,
        _ body: (Commit, [UInt8]) throws -> Bool
    ) throws -> Bool {
        var commits: [Commit] = []
        var cursor = try CommitCursor(piece.header, payload.span)
        while let commit = try cursor.next(payload.span) {
            if commit.firstSequence >= from { commits.append(commit) }
        }
        if isBackward { commits.reverse() }
        for commit in commits where try !body(commit, payload) { return false }
        return true
    }

    private func stretches(after start: UInt64) -> [Stretch] {
        var next = start + 1
        var found: [Stretch] = []
        for piece in pieces where piece.header.nextSequence > next {
            fill(&next, before: piece.header.firstSequence, &found)
            found.append(.block(piece, from: next))
            next = piece.header.nextSequence
        }
        fill(&next, before: end + 1, &found)
        return found
    }

    /// Staging may hold commits of a damaged block, and commits that no block held yet.
    private func fill(_ next: inout UInt64, before limit: UInt64, _ found: inout [Stretch]) {
        guard next < limit else { return }
        for commit in staged where commit.firstSequence >= next && commit.firstSequence < limit {
            if commit.firstSequence > next { found.append(.lost(next...commit.firstSequence - 1)) }
            found.append(.staged(commit))
            next = commit.commit.lastSequence + 1
        }
        if next < limit { found.append(.lost(next...limit - 1)) }
        next = max(next, limit)
    }

    /// The known tables, as far as their numbers have no gap. They come from the log and from the database.
    package func catalog(_ store: StoreInspection) throws -> Catalog {
        var tables = SalvagedTables()
        for definition in store.database.contents?.tables ?? [] { tables.note(definition) }
        for (_, records) in try definitions() { tables.note(records: records) }
        var catalog = Catalog()
        for definition in tables.definitions.values.sorted(by: { $0.id < $1.id }) {
            guard definition.id == catalog.nextID else { break }
            try catalog.define(definition)
        }
        return catalog
    }

    /// The faults because of which these sequences are lost, in order, each with its sequences.
    package func findings(of lost: ClosedRange<UInt64>) -> [Finding] {
        var found: [Finding] = []
        var next = lost.lowerBound
        func explain(through last: UInt64, _ finding: Finding? = nil) {
            guard next <= last else { return }
            var finding =
                finding
                ?? Finding(
                    severity: .corrupt, path: environment.layout.log, offset: nil, lost: nil,
                    reason: "no file holds what had been durable")
            finding.keepLost(next...last)
            found.append(finding)
            next = last + 1
        }
        for finding in segments.flatMap(\.findings) {
            guard let range = finding.lost, range.overlaps(lost), range.upperBound >= next else {
                continue
            }
            if range.lowerBound > next { explain(through: range.lowerBound - 1) }
            explain(through: min(range.upperBound, lost.upperBound), finding)
        }
        explain(through: lost.upperBound)
        return found
    }

    /// The definitions in blocks and staging, each with the sequence before it, in order.
    func definitions() throws -> [(sequence: UInt64, records: [UInt8])] {
        var found: [(sequence: UInt64, records: [UInt8])] = []
        var loader = BlockLoader()
        for piece in pieces where !piece.header.flags.isDisjoint(with: [.preamble, .define]) {
            guard try load(piece, &loader) else { continue }
            let payload = loader.payload
            var commits = try CommitCursor(piece.header, payload.span)
            if let range = commits.preamble {
                found.append((piece.header.firstSequence - 1, Array(payload[range])))
            }
            while let commit = try commits.next(payload.span) {
                found.append((commit.lastSequence, Array(payload[commit.records])))
            }
        }
        return found + staged.map { ($0.commit.lastSequence, $0.records) }
    }

    /// False if the block is not good any more.
    private func load(_ piece: Piece, _ loader: inout BlockLoader) throws -> Bool {
        guard
            case .opened(let segment) = try SegmentReader.open(
                segments[piece.segment].path, on: environment.disk)
        else { return false }
        return try loader.load(
            piece.header, at: piece.offset, of: segment, chainBefore: nil) == nil
    }
}

/// The tables of a store with a damaged log, as far as they are known.
struct SalvagedTables {
    private(set) var definitions: [UInt32: TableDefinition] = [:]

    /// Adds a definition, unless a later one of its table is known.
    mutating func note(_ definition: TableDefinition) {
        if let known = definitions[definition.id],
            (known.revision, known.schema.columns.count)
                > (definition.revision, definition.schema.columns.count)
        {
            return
        }
        definitions[definition.id] = definition
    }

    /// Adds the define records among others. Records that cannot be read define nothing.
    mutating func note(records: [UInt8]) {
        let bytes = records.span
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd, let record = try? reader.record(bytes) {
            guard record.operation == .define else { continue }
            var body = ByteReader(record.body)
            guard let length = try? body.varint(bytes), let json = try? body.take(length),
                let definition = try? TableDefinition(json: bytes.extracting(json)),
                definition.id == record.table
            else { continue }
            note(definition)
        }
    }
}
