import EventLog
import Foundation
import Glibc
import TestSupport
import Testing
import WriteBehind

/// Work that must grow with its input no faster than the input does, measured by the processor time of the thread that
/// does it, in ratios: other work on the machine does not count.
@Suite(.serialized) struct WorkTests {
    /// The least of a few tries.
    private func processorTime(_ body: () throws -> Void) rethrows -> Double {
        var least = Double.infinity
        for _ in 0..<3 {
            let start = clock()
            try body()
            least = min(least, clock() - start)
        }
        return least
    }

    private func clock() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A killed store with a table of so many columns.
    private func made(columns count: Int) throws -> TemporaryStore {
        let store = try SteppedStore(TemporaryStore())
        let columns = (0..<count).map {
            ColumnSchema.column("column\($0)", .text, nullable: true)
        }
        let schema = TableSchema("wide", [.key("id", .integer)] + columns)
        let definition = try store.engine.declare(schema)
        let key = try KeyCodec.encode([.integer(1)], schema)
        let row = [StoredValue](repeating: .text("x"), count: count)
        let body = try RowCodec.encodeRow(row, schema)
        _ = try store.engine.write(
            .put, table: UInt16(definition.id), key: key.span, body: body.span)
        try #require(store.materialize())
        return try store.killed()
    }

    /// Five times the columns: 25 times the work if each names all others.
    @Test func openingATableTakesWorkInProportionToItsColumns() throws {
        let (narrow, wide) = (try made(columns: 199), try made(columns: 995))
        func open(_ directory: TemporaryStore) throws {
            let store = try SteppedStore(directory)
            try store.close()
        }
        let (least, most) = (
            try processorTime { try open(narrow) }, try processorTime { try open(wide) }
        )
        #expect(most < least * 12, "\(most) s, and \(least) s for a fifth of the columns")
    }

    /// A megabyte of lengths that reach far, behind a damaged header: each was the start of a frame to look at.
    @Test func bytesThatLookLikeCommitsCostInProportionToTheirLength() throws {
        func image(_ word: UInt32) throws -> LogEnvironment {
            let harness = LogHarness(options: LogOptions())
            try harness.open()
            try harness.append(byteCount: 1_000_000)
            harness.crash(.process)
            let path = StoreLayout(root: LogHarness.root).staging
            var bytes = try #require(harness.disk.readAll(path))
            let slot = StagingHeader.byteCount + harness.options.slotSize
            bytes[slot + 64 + 8] ^= 1
            for offset in stride(from: slot + 128, to: slot + 1_000_000, by: 8) {
                bytes.store(integer: word, at: offset)
            }
            try harness.disk.overwrite(path, bytes)
            return harness.environment
        }
        let (plain, hostile) = (try image(0), try image(1_000_000))
        let least = try processorTime { _ = try LogInspection(plain, witnesses: []) }
        let most = try processorTime { _ = try LogInspection(hostile, witnesses: []) }
        #expect(most < least * 50, "\(most) s, and \(least) s for zeros")
    }
}
