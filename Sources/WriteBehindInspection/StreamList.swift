import EventLog
import WriteBehind
package import WriteBehindCore
import WriteBehindSQLite

/// The change streams of a store, read from its files.
package struct StreamList: Sendable {
    package struct Stream: Sendable, Equatable {
        package var name: String
        /// nil for all tables.
        package var table: String?
        /// Everything through this sequence is acknowledged.
        package var sequence: UInt64
        /// When the commit at ``sequence`` was written, milliseconds since 1970.
        package var time: UInt64
        /// How many records of the log are not acknowledged.
        package var records: UInt64
        /// Why it cannot go on.
        package var fault: String?
    }

    package private(set) var streams: [Stream] = []
    /// Why the file cannot be used.
    package private(set) var fault: String?

    package init(_ store: StoreInspection) throws {
        switch try StreamPositions.read(store.environment) {
        case .absent: return
        case .unusable(let fault): self.fault = "\(fault)"
        case .positions(let file):
            let catalog = try store.fullCatalog()
            let first = try store.first
            streams = file.streams.map { stream in
                var fault: ChangeStreamProblem?
                if stream.sequence > store.end || Self.isForeign(stream, store) {
                    fault = .ofAnotherHistory(sequence: stream.sequence)
                } else if stream.sequence + 1 < first {
                    fault = .gone(first: stream.sequence + 1, last: first - 1)
                }
                return Stream(
                    name: stream.name, table: catalog[stream.table]?.schema.name,
                    sequence: stream.sequence, time: stream.time,
                    records: store.end - min(stream.sequence, store.end),
                    fault: fault.map { "\($0)" })
            }
        }
    }

    /// Whether the log has another history at the stream's position. If that cannot be read, it proves nothing.
    private static func isForeign(
        _ stream: StreamPositions.Stream, _ store: StoreInspection
    ) -> Bool {
        guard stream.sequence <= store.readable,
            let chain = try? LogReader.chain(at: stream.sequence, store.environment)
        else { return false }
        return chain != stream.chain
    }
}

/// Removes a change stream of a store that no process has open for writing.
package enum StreamRemoval {
    /// - Returns: whether there was one of this name.
    package static func remove(
        _ name: String, of path: String, _ opener: (any SinkOpener)? = nil
    ) async throws -> Bool {
        let store = try await ToolStore.open(path, opener)
        do {
            let wasThere = try await store.removeChangeStream(named: name)
            try await store.close()
            return wasThere
        } catch {
            _ = try? await store.close()
            throw error
        }
    }
}
