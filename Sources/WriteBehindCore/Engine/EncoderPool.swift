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
        ///   - addsMakeRows: whether an add made a row of the table then.
        ///   - addable: which of the row's first columns outside the key take amounts, a bit for each.
        init(
            generation: UInt32, lacksColumns: Bool, logsWholeRows: Bool, addsMakeRows: Bool,
            addable: UInt64, checksLeft: Int
        ) {
            word =
                UInt64(generation) << 8 | UInt64(checksLeft) << 1 | (lacksColumns ? 1 : 0)
                | (logsWholeRows ? Self.wholeRows : 0) | (addsMakeRows ? Self.makesRows : 0)
                | (addable & Self.addableMask) << Self.addableShift
        }

        private static let wholeRows: UInt64 = 1 << 63
        private static let makesRows: UInt64 = 1 << 62
        private static let (addableShift, addableCount): (UInt64, Int) = (40, 22)
        private static let addableMask: UInt64 = (1 << addableCount) - 1

        fileprivate init(word: UInt64) { self.word = word }

        var generation: UInt32 { UInt32(truncatingIfNeeded: word >> 8) }
        var lacksColumns: Bool { word & 1 != 0 }
        var logsWholeRows: Bool { word & Self.wholeRows != 0 }
        var addsMakeRows: Bool { word & Self.makesRows != 0 }
        var checksLeft: Int { Int(word & 0xFF) >> 1 }
        /// Whether amounts can be added to a column; false if that must be looked up.
        ///
        /// - Parameter index: the column's place among those outside the key, in the order of the row's type.
        func takesAdds(at index: Int) -> Bool {
            index < Self.addableCount && word >> (Self.addableShift + UInt64(index)) & 1 != 0
        }
        /// The same form, with fewer checks left.
        func checked() -> Form { Form(word: word - 2) }
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
