package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// Reads records forward, with their tables, from the segments only.
package final class LogWalk {
    private let environment: LogEnvironment
    private var reader: LogReader
    /// The first sequence that is returned.
    private var from: UInt64
    /// The tables as of the block that was read last.
    package private(set) var catalog: Catalog

    /// - Throws: ``LogError/deleted(sequence:oldest:)`` if the log starts later.
    package init(_ environment: LogEnvironment, from sequence: UInt64) throws {
        self.environment = environment
        from = sequence
        catalog = try CatalogLookup(environment).catalog(before: sequence)
        reader = try LogReader(environment, from: sequence)
    }

    /// The header of the block that was read last.
    package var block: BlockHeader? { reader.block }

    /// Reads the next block; false if no more is durable.
    ///
    /// - Parameter isWanted: decides by its header whether a block is unpacked. Blocks that define tables always
    ///   are.
    package func next(
        through readable: UInt64, where isWanted: (BlockHeader) -> Bool = { _ in true }
    ) throws -> Bool {
        let found = try step(through: readable) {
            isWanted($0) || !$0.flags.isDisjoint(with: [.preamble, .define])
        }
        guard found, let block = reader.block else { return false }
        try catalog.note(block, reader.payload.span)
        return true
    }

    /// A segment that was read while it was written may have been replaced since, by a writer that
    /// recovered it or merged it with its neighbours. So damage, or a missing file, is
    /// reported only if reading again gives the same result.
    private func step(
        through readable: UInt64, where isWanted: (BlockHeader) -> Bool
    ) throws(LogError) -> Bool {
        do throws(LogError) {
            return try reader.next(through: readable, where: isWanted)
        } catch {
            switch error {
            case .corrupt, .deleted: break
            default: throw error
            }
            // The block may also hold records before that sequence.
            from = max(from, reader.nextSequence)
            let again = try LogReader(environment, from: from)
            let found = try again.next(through: readable, where: isWanted)
            reader = again
            return found
        }
    }

    /// Calls `body` for the records of the block that was read last, until it returns false.
    ///
    /// - Returns: false if `body` did.
    package func records(_ body: (LoggedRecord) throws -> Bool) throws -> Bool {
        var commits = try reader.commits()
        let payload = reader.payload
        while let commit = try commits.next(payload.span) {
            guard commit.lastSequence >= from else { continue }
            let goesOn = try forEachRecord(of: commit, in: payload.span) { record in
                try record.sequence < from || body(record)
            }
            guard goesOn else { return false }
        }
        return true
    }

    /// The same for the wanted records. Other records are not copied.
    package func records(
        _ matcher: RecordMatcher, _ body: (LoggedRecord) throws -> Bool
    ) throws -> Bool {
        let payload = reader.payload
        guard matcher.mayHold(payload.span) else { return true }
        var commits = try reader.commits()
        while let commit = try commits.next(payload.span) {
            guard commit.lastSequence >= from else { continue }
            let goesOn = try forEachRecord(of: commit, in: payload.span, matcher) { record in
                try record.sequence < from || body(record)
            }
            guard goesOn else { return false }
        }
        return true
    }
}

extension Catalog {
    /// Adds the tables that a block defines, in its preamble or by records.
    mutating func note(_ block: BlockHeader, _ payload: Span<UInt8>) throws {
        guard !block.flags.isDisjoint(with: [.preamble, .define]) else { return }
        var commits = try CommitCursor(block, payload)
        if let range = commits.preamble {
            self = try Catalog(defineRecords: payload.extracting(range))
        }
        guard block.flags.contains(.define) else { return }
        while let commit = try commits.next(payload) {
            var reader = ByteReader(commit.records)
            while !reader.isAtEnd {
                let record = try reader.record(payload)
                guard record.operation == .define else { continue }
                try apply(define: record.table, body: payload.extracting(record.body))
            }
        }
    }
}

/// Finds the tables of the log at some sequence, from the preamble of the segment.
package struct CatalogLookup {
    private let environment: LogEnvironment

    package init(_ environment: LogEnvironment) {
        self.environment = environment
    }

    /// The tables that were defined before the block that holds `sequence`, as far as its segment
    /// can be read.
    package func catalog(before sequence: UInt64) throws -> Catalog {
        try catalog(before: sequence, inSegmentOf: sequence)
    }

    /// The tables that were defined through `sequence`.
    package func catalog(through sequence: UInt64) throws -> Catalog {
        try catalog(before: sequence + 1, inSegmentOf: sequence)
    }

    private func catalog(
        before sequence: UInt64, inSegmentOf place: UInt64
    ) throws -> Catalog {
        let bases = try LogReader.segmentBases(environment)
        guard let base = bases.last(where: { $0 <= place }),
            case .opened(let segment) = try SegmentReader.open(
                environment.layout.segment(base), on: environment.disk)
        else { return Catalog() }
        return try catalog(of: segment, before: sequence)
    }

    func catalog(of segment: SegmentReader, before sequence: UInt64) throws -> Catalog {
        var catalog = Catalog()
        var loader = BlockLoader()
        var chain = segment.header.chain
        for found in try segment.headers() where found.header.firstSequence < sequence {
            let header = found.header
            if !header.flags.isDisjoint(with: [.preamble, .define]) {
                let fault = try loader.load(
                    header, at: found.offset, of: segment, chainBefore: chain)
                guard fault == nil else { return catalog }
                try catalog.note(header, loader.payload.span)
            }
            chain = header.chain
        }
        return catalog
    }
}

extension SegmentReader {
    /// The block headers from the start to the footer, or to the first one that is not good.
    package func headers() throws -> [(header: BlockHeader, offset: Int)] {
        let count = try byteCount()
        var found: [(header: BlockHeader, offset: Int)] = []
        var offset = SegmentHeader.byteCount
        while case .block(let header) = try item(at: offset, fileByteCount: count) {
            found.append((header, offset))
            offset += BlockHeader.byteCount + Int(header.packedLength)
        }
        return found
    }
}
