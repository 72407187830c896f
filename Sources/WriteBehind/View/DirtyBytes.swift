import DequeModule

/// How many bytes of rows are dirty, without looking at rows when the watermark rises.
///
/// Bytes are counted in buckets of 4,096 sequences. A bucket is dropped when the watermark reaches
/// its end, so the total may count up to 4,095 sequences too many; it is exactly zero when the
/// watermark has reached the highest sequence.
struct DirtyBytes {
    private struct Bucket {
        /// sequence / 4,096 of what is counted here.
        var number: UInt64
        var bytes: Int
    }

    private static let shift: UInt64 = 12
    /// By ascending number; numbers without rows are left out.
    private var buckets: Deque<Bucket> = []
    private var highest: UInt64 = 0
    /// Rows at and below this sequence are not counted.
    private var settled: UInt64
    private(set) var total = 0

    init(watermark: UInt64) { settled = watermark }

    @inline(__always)
    mutating func add(_ bytes: Int, sequence: UInt64) {
        guard sequence > settled else { return }
        total += bytes
        let number = sequence >> Self.shift
        highest = max(highest, sequence)
        if let last = buckets.last, last.number == number {
            buckets[buckets.count - 1].bytes += bytes
            return
        }
        let position = position(of: number)
        if position < buckets.count, buckets[position].number == number {
            buckets[position].bytes += bytes
        } else {
            buckets.insert(Bucket(number: number, bytes: bytes), at: position)
        }
    }

    /// Takes back what was added for the same sequence, if it still counts.
    @inline(__always)
    mutating func remove(_ bytes: Int, sequence: UInt64) {
        guard sequence > settled else { return }
        total -= bytes
        let number = sequence >> Self.shift
        let last = buckets.count - 1
        let position = buckets[last].number == number ? last : position(of: number)
        buckets[position].bytes -= bytes
    }

    mutating func advance(to watermark: UInt64) {
        if watermark >= highest {
            buckets.removeAll(keepingCapacity: true)
            total = 0
            settled = max(settled, watermark)
            return
        }
        while let first = buckets.first, (first.number + 1) << Self.shift <= watermark + 1 {
            total -= first.bytes
            settled = ((first.number + 1) << Self.shift) - 1
            buckets.removeFirst()
        }
    }

    /// The first bucket at or above `number`.
    private func position(of number: UInt64) -> Int {
        // Mostly there are no gaps, and the place follows from the distance to the last bucket.
        if let last = buckets.last, last.number >= number {
            let distance = last.number - number
            if distance < UInt64(buckets.count) {
                let guess = buckets.count - 1 - Int(distance)
                if buckets[guess].number == number { return guess }
            }
        }
        var (low, high) = (0, buckets.count)
        while low < high {
            let middle = (low + high) / 2
            if buckets[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
