import EventLog
import Synchronization

/// Buffers that rows and keys are encoded into, so that a write need not allocate any.
final class EncoderPool: Sendable {
    /// One row encoder, one key encoder, and room for a row that is read.
    struct Encoder: ~Copyable {
        var row: RowEncoder
        var key: KeyEncoder
        var body: [UInt8] = []

        init(_ layout: RowLayout) {
            row = RowEncoder(layout)
            key = KeyEncoder(layout)
        }

        mutating func encode(_ value: some TableRow) throws(StoreError) {
            do throws(RowError) {
                try row.encode(row: value)
            } catch {
                throw .row(error)
            }
        }

        mutating func encode(_ value: some RowKey) throws(StoreError) {
            do throws(RowError) {
                try key.encode(key: value)
            } catch {
                throw .row(error)
            }
        }
    }

    /// Locked as long as its encoder is in use. No thread waits for it.
    private final class Slot: Sendable {
        let encoder: Lock<Encoder>

        init(_ layout: RowLayout) {
            encoder = Lock(Encoder(layout))
        }
    }

    private let slots: [Slot]
    private let layout: RowLayout
    /// A ``Form``.
    private let form: Atomic<UInt64>

    /// - Parameter form: what the table is like.
    init(_ layout: RowLayout, _ form: Form) {
        self.layout = layout
        slots = (0..<8).map { _ in Slot(layout) }
        self.form = Atomic(form.word)
    }

    /// The state of the rows that are written, as one word.
    struct Form {
        /// How many of the first rows are read back to check the type's coding.
        static let checkCount = 8

        fileprivate private(set) var word: UInt64

        /// - Parameters:
        ///   - generation: the engine's generation when the table was read.
        ///   - lacksColumns: whether the table had columns then that the layout lacks.
        ///   - logsWholeRows: whether the log had whole rows of the table then.
        init(generation: UInt32, lacksColumns: Bool, logsWholeRows: Bool, checksLeft: Int) {
            word =
                UInt64(generation) << 8 | UInt64(checksLeft) << 1 | (lacksColumns ? 1 : 0)
                | (logsWholeRows ? Self.wholeRows : 0)
        }

        private static let wholeRows: UInt64 = 1 << 63

        fileprivate init(word: UInt64) { self.word = word }

        var generation: UInt32 { UInt32(truncatingIfNeeded: word >> 8) }
        var lacksColumns: Bool { word & 1 != 0 }
        var logsWholeRows: Bool { word & Self.wholeRows != 0 }
        var checksLeft: Int { Int(word & 0xFF) >> 1 }
        /// Whether a row can be written as it was encoded, without further checks.
        var isPlain: Bool { word & 0xFF == 0 }
    }

    @inline(__always)
    var current: Form { Form(word: form.load(ordering: .relaxed)) }

    func note(_ now: Form) { form.store(now.word, ordering: .relaxed) }

    /// Runs `body` with an encoder of its own: an idle one, else a new one.
    func withEncoder<R, E: Error>(
        _ body: (inout Encoder) throws(E) -> R
    ) throws(E) -> R {
        for slot in slots {
            let result = try slot.encoder.withLockIfAvailable {
                (encoder) throws(E) -> R in try body(&encoder)
            }
            if let result { return result }
        }
        var encoder = Encoder(layout)
        return try body(&encoder)
    }
}
