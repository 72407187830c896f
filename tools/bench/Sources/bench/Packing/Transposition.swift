/// Divides a payload into streams of similar values, and joins the streams to the same bytes again, because the checksum
/// chain and the materializer need rows.
final class Transposition {
    typealias Slot = Streams.Slot

    let streams: Streams
    /// Whether there are only two kinds of streams, keys and bodies. Otherwise each column has its own: integers as
    /// differences from the column's last value, and keys without the prefix that they share with their table's last key.
    let isCoarse: Bool
    private let lastKeys: UnsafeMutablePointer<UInt8>
    private let lastLengths: UnsafeMutablePointer<Int>
    /// By slot.
    private let lastIntegers: UnsafeMutablePointer<Int>

    private static let keyLimit = 65_536

    init(isCoarse: Bool, payloadLimit: Int) {
        self.isCoarse = isCoarse
        streams = Streams(payloadLimit: payloadLimit)
        lastKeys = .allocate(capacity: Streams.tables * Self.keyLimit)
        lastLengths = .allocate(capacity: Streams.tables)
        lastIntegers = .allocate(capacity: Streams.limit)
    }

    deinit {
        lastKeys.deallocate()
        lastLengths.deallocate()
        lastIntegers.deallocate()
    }

    func split(_ payload: Bytes) {
        start()
        streams.removeAll()
        var rows = Cursor(payload)
        let end = rows.at + payload.count
        _ = varint(&rows, Slot.commits, Apart.self)
        while rows.at < end {
            let count = varint(&rows, Slot.commits, Apart.self)
            // The length of the records is found again when they are joined.
            _ = rows.varint()
            _ = varint(&rows, Slot.commits, Apart.self)
            for _ in 0..<count { record(&rows, Apart.self) }
        }
    }

    /// Returns the payload's length.
    func join(_ bytes: Bytes, records: Int, into payload: UnsafeMutablePointer<UInt8>) -> Int {
        start()
        streams.find(in: bytes)
        var rows = Cursor(payload)
        _ = varint(&rows, Slot.commits, Together.self)
        var rest = records
        while rest > 0 {
            let count = streams[Slot.commits].varint()
            let delta = streams[Slot.commits].varint()
            // The records come first, because their length is written before them.
            var start = Cursor(rows.at + 30)
            var end = start
            for _ in 0..<count { record(&end, Together.self) }
            rows.append(varint: count)
            rows.append(varint: end.at - start.at)
            rows.append(varint: delta)
            rows.append(from: &start, end.at - start.at)
            rest -= count
        }
        return rows.at - payload
    }

    private func start() {
        lastLengths.initialize(repeating: 0, count: Streams.tables)
        lastIntegers.initialize(repeating: 0, count: Streams.limit)
    }

    @inline(__always)
    private func record<W: Way>(_ rows: inout Cursor, _ way: W.Type) {
        let operation = byte(&rows, Slot.heads, way)
        let table = varint(&rows, Slot.heads, way)
        precondition(table < Streams.tables, "more tables than there is room for")
        let slot = Slot.table(table)
        if isCoarse { bytes(&rows, Slot.heads, Slot.keys, way) } else { key(&rows, table, way) }
        switch operation {
        case 1, 2:
            let count = varint(&rows, isCoarse ? Slot.bodies : slot + Slot.counts, way)
            for index in 0..<count {
                var column = index
                if operation == 2 {
                    column = varint(&rows, isCoarse ? Slot.bodies : slot + Slot.patched, way)
                }
                precondition(column < Streams.columns, "more columns than there is room for")
                value(&rows, slot + Slot.column(column), way)
            }
        case 3, 4: break
        default:
            if operation == 7 { _ = varint(&rows, Slot.bodies, way) }
            bytes(&rows, Slot.bodies, Slot.bodies, way)
        }
    }

    @inline(__always)
    private func key<W: Way>(_ rows: inout Cursor, _ table: Int, _ way: W.Type) {
        let slot = Slot.table(table)
        let last = lastKeys + table * Self.keyLimit
        var shared = 0
        var length = 0
        if W.splits {
            length = rows.varint()
            let limit = min(length, lastLengths[table])
            while shared < limit, last[shared] == rows.at[shared] { shared += 1 }
            streams[slot + Slot.shared].append(varint: shared)
            streams[slot + Slot.suffixLengths].append(varint: length - shared)
            (last + shared).update(from: rows.at + shared, count: length - shared)
            rows.at += shared
            streams[slot + Slot.keys].append(from: &rows, length - shared)
        } else {
            shared = streams[slot + Slot.shared].varint()
            length = shared + streams[slot + Slot.suffixLengths].varint()
            var suffix = Cursor(last + shared)
            suffix.append(from: &streams[slot + Slot.keys], length - shared)
            rows.append(varint: length)
            var key = Cursor(last)
            rows.append(from: &key, length)
        }
        lastLengths[table] = length
    }

    @inline(__always)
    private func value<W: Way>(_ rows: inout Cursor, _ column: Int, _ way: W.Type) {
        let numbers = isCoarse ? Slot.bodies : column + 1
        let others = isCoarse ? Slot.bodies : column + 2
        switch byte(&rows, isCoarse ? Slot.bodies : column, way) {
        case 0: break
        case 1:
            if isCoarse {
                _ = varint(&rows, numbers, way)
            } else if W.splits {
                let value = Self.integer(rows.varint())
                streams[numbers].append(varint: Self.zigzag(value &- lastIntegers[column]))
                lastIntegers[column] = value
            } else {
                lastIntegers[column] &+= Self.integer(streams[numbers].varint())
                rows.append(varint: Self.zigzag(lastIntegers[column]))
            }
        case 2: move(&rows, others, 8, way)
        default: bytes(&rows, numbers, others, way)
        }
    }

    private static func zigzag(_ value: Int) -> Int { (value << 1) ^ (value >> 63) }
    private static func integer(_ zigzag: Int) -> Int {
        Int(bitPattern: UInt(bitPattern: zigzag) >> 1) ^ -(zigzag & 1)
    }

    @inline(__always)
    private func byte<W: Way>(_ rows: inout Cursor, _ slot: Int, _ way: W.Type) -> UInt8 {
        let byte = W.splits ? rows.byte() : streams[slot].byte()
        if W.splits { streams[slot].append(byte) } else { rows.append(byte) }
        return byte
    }

    @inline(__always)
    private func varint<W: Way>(_ rows: inout Cursor, _ slot: Int, _ way: W.Type) -> Int {
        let number = W.splits ? rows.varint() : streams[slot].varint()
        if W.splits { streams[slot].append(varint: number) } else { rows.append(varint: number) }
        return number
    }

    @inline(__always)
    private func bytes<W: Way>(
        _ rows: inout Cursor, _ lengths: Int, _ slot: Int, _ way: W.Type
    ) {
        move(&rows, slot, varint(&rows, lengths, way), way)
    }

    @inline(__always)
    private func move<W: Way>(_ rows: inout Cursor, _ slot: Int, _ count: Int, _ way: W.Type) {
        if W.splits {
            streams[slot].append(from: &rows, count)
        } else {
            rows.append(from: &streams[slot], count)
        }
    }
}

/// From rows to streams or back; a constant for the compiler.
private protocol Way {
    static var splits: Bool { get }
}

private enum Apart: Way {
    static var splits: Bool { true }
}

private enum Together: Way {
    static var splits: Bool { false }
}
