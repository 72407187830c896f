package import EventLog

/// Checks that the log's records are such as the store writes: their tables are defined, and keys, rows and patches
/// fit the tables.
///
/// Checksums only show that bytes are as they were written. Records that another program or a fault of ours has written
/// may pass them, and then make opening, a snapshot or a replay fail. `verify` finds them before, by these rules.
package struct RecordCheck {
    /// The tables as of the last record.
    package private(set) var catalog: Catalog
    /// The tables of the records that were checked since it was last emptied.
    package var tables = TableSet()

    /// - Parameter preamble: the define records with which a segment begins.
    package init(preamble: Span<UInt8>) throws(MalformedRecord) {
        do throws(SchemaError) {
            catalog = try Catalog(defineRecords: preamble)
        } catch {
            throw MalformedRecord(offset: 0, reason: "the preamble: \(error)")
        }
    }

    /// Checks a commit, and throws what is wrong with it.
    package mutating func check(_ commit: Commit, in payload: Span<UInt8>) throws(MalformedRecord) {
        var reader = ByteReader(commit.records)
        var sequence = commit.firstSequence
        while !reader.isAtEnd {
            let record = try reader.record(payload)
            tables.insert(record.table)
            do throws(RecordFault) {
                try check(record, commit, payload)
            } catch {
                throw MalformedRecord(
                    offset: record.key.lowerBound, reason: "#\(sequence): \(error.reason)")
            }
            sequence += 1
        }
        let count = sequence - commit.firstSequence
        guard count == commit.count else {
            throw MalformedRecord(
                offset: commit.records.lowerBound,
                reason: "#\(commit.firstSequence): the commit holds \(count) records, "
                    + "not \(commit.count)")
        }
    }

    private struct RecordFault: Error {
        var reason: String
    }

    private mutating func check(
        _ record: Record, _ commit: Commit, _ payload: Span<UInt8>
    ) throws(RecordFault) {
        switch record.operation {
        case .put, .patch, .add, .delete, .clear: try checkRow(record, payload)
        case .define:
            guard record.key.isEmpty else { throw RecordFault(reason: "a definition with a key") }
            // A definition is applied to the database in a transaction of its own.
            guard commit.count == 1 else {
                throw RecordFault(reason: "a definition shares its commit with other records")
            }
            do throws(SchemaError) {
                try catalog.apply(define: record.table, body: payload.extracting(record.body))
            } catch {
                throw RecordFault(reason: "the definition: \(error)")
            }
        case .mark, .settle:
            guard record.table == 0, record.key.isEmpty else {
                throw RecordFault(reason: "a mark or settle record of a table or row")
            }
        case .preamble: throw RecordFault(reason: "a preamble is inside a commit")
        }
    }

    private func checkRow(_ record: Record, _ payload: Span<UInt8>) throws(RecordFault) {
        guard let schema = catalog[record.table]?.schema else {
            throw RecordFault(reason: "table \(record.table) is not defined before it")
        }
        if record.operation == .clear {
            guard record.key.isEmpty else { throw RecordFault(reason: "a clear with a key") }
            return
        }
        let body = payload.extracting(record.body)
        do throws(RowError) {
            _ = try KeyCodec.decode(payload.extracting(record.key), schema)
            switch record.operation {
            case .put: _ = try RowCodec.decodeRow(body, schema)
            case .patch:
                _ = try RowCodec.decodePatch(body, schema)
                let before = payload.extracting(record.before)
                if !before.isEmpty { _ = try RowCodec.decodeRow(before, schema) }
            case .add: try RowCodec.check(add: body, schema)
            default: break
            }
        } catch {
            throw RecordFault(reason: "\(error)")
        }
    }
}
