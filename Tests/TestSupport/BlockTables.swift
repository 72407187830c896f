package import EventLog

extension SegmentReader {
    /// The tables in each block's header, beside the tables that its records name one by one.
    package func tablesOfBlocks() throws -> [(said: TableSet, held: TableSet)] {
        var found: [(said: TableSet, held: TableSet)] = []
        var (loader, offset) = (BlockLoader(), SegmentHeader.byteCount)
        let count = try byteCount()
        while case .block(let header) = try item(at: offset, fileByteCount: count) {
            guard try loader.load(header, at: offset, of: self, chainBefore: nil) == nil else {
                break
            }
            var held = TableSet()
            var commits = try CommitCursor(header, loader.payload.span)
            while let commit = try commits.next(loader.payload.span) {
                var reader = ByteReader(commit.records)
                while !reader.isAtEnd { held.insert(try reader.record(loader.payload.span).table) }
            }
            found.append((header.tables, held))
            offset += BlockHeader.byteCount + Int(header.packedLength)
        }
        return found
    }

    /// Whether each block's header names the tables of its records, and no others.
    package func blocksNameTheirTables() throws -> Bool {
        let found = try tablesOfBlocks()
        return !found.isEmpty && found.allSatisfy { $0.said == $0.held && !$0.said.isEmpty }
    }
}
