package import EventLog

/// Reads a commit's records.
package enum CommitReader {
    /// The definitions in a commit of define records; none in any other.
    package static func definitions(
        in records: Span<UInt8>
    ) throws(SinkError) -> [TableDefinition] {
        var found: [TableDefinition] = []
        var reader = ByteReader(0..<records.count)
        while !reader.isAtEnd {
            let record = try reader.sinkRecord(records)
            guard record.operation == .define else { return [] }
            found.append(try definition(of: record, records))
        }
        return found
    }

    private static func definition(
        of record: Record, _ records: Span<UInt8>
    ) throws(SinkError) -> TableDefinition {
        do {
            var body = ByteReader(record.body)
            let json = try body.take(try body.varint(records))
            return try TableDefinition(json: records.extracting(json))
        } catch {
            throw SinkError(.corrupt, "a definition in the log: \(error)")
        }
    }
}

extension ByteReader {
    package mutating func sinkRecord(_ bytes: Span<UInt8>) throws(SinkError) -> Record {
        do throws(MalformedRecord) { return try record(bytes) } catch {
            throw SinkError(malformed: error)
        }
    }
}
