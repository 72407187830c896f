/// How many bytes of a shard's rows the database does not hold: those of rows above the watermark, and those of
/// all pinned rows. Blocks are rounded up.
///
/// A row is named by its word, which holds its sequence and its flags (``Entry``).
struct UnsavedBytes {
    private var dirty: DirtyBytes
    private(set) var pinned = 0

    init(watermark: UInt64) { dirty = DirtyBytes(watermark: watermark) }

    var total: Int { dirty.total + pinned }

    /// Counts a row in the place of its earlier entry. A row that was pinned stays pinned.
    @inline(__always)
    mutating func add(_ change: RowTable.Change, _ sequence: UInt64) {
        if change.oldWord != 0 { remove(change.oldWord, change.oldBytes) }
        if Self.flags(change.oldWord).contains(.pinned) {
            pinned += change.newBytes
        } else {
            dirty.add(change.newBytes, sequence: sequence)
        }
    }

    @inline(__always)
    mutating func remove(_ word: UInt64, _ bytes: Int) {
        let flags = Self.flags(word)
        if flags.contains(.pinned) {
            pinned -= bytes
        } else if !flags.contains(.filled) {
            dirty.remove(bytes, sequence: word >> 8)
        }
    }

    /// To be called before the row is marked as pinned.
    mutating func pin(_ word: UInt64, _ bytes: Int) {
        remove(word, bytes)
        pinned += bytes
    }

    /// The row counts by its sequence again.
    mutating func unpin(_ word: UInt64, _ bytes: Int) {
        pinned -= bytes
        if !Self.flags(word).contains(.filled) { dirty.add(bytes, sequence: word >> 8) }
    }

    mutating func advance(to watermark: UInt64) { dirty.advance(to: watermark) }

    @inline(__always)
    private static func flags(_ word: UInt64) -> EntryFlags {
        EntryFlags(rawValue: UInt8(truncatingIfNeeded: word))
    }
}
