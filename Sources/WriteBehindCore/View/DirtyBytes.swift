import DequeModule

/// How many bytes of rows are dirty, without looking at rows when the watermark rises.
///
/// Bytes are counted in buckets of 4,096 sequences. A bucket is dropped when the watermark reaches
/// its end, so the total may count a bucket's sequences too many, never too few; it is exactly zero when
/// the watermark has reached the highest sequence. If there are more than ``bucketLimit`` buckets, each
/// two neighbours become one: the farther the database is behind, the coarser the oldest buckets are.
package struct DirtyBytes {
    private struct Bucket {
        /// The last sequence that is counted here. The first is the one after the bucket before.
        var end: UInt64
        var bytes: Int
    }

    package static let bucketLimit = 1024
    /// How many sequences a new bucket counts, less one.
    private static let mask: UInt64 = 4095
    /// By ascending end.
    private var buckets: Deque<Bucket> = []
    private var highest: UInt64 = 0
    /// Rows at and below this sequence are not counted.
    private var settled: UInt64
    package private(set) var total = 0

    package init(watermark: UInt64) { settled = watermark }

    package var bucketCount: Int { buckets.count }

    @inline(__always)
    package mutating func add(_ bytes: Int, sequence: UInt64) {
        guard sequence > settled else { return }
        total += bytes
        highest = max(highest, sequence)
        if let last = buckets.last, sequence <= last.end {
            buckets[position(of: sequence)].bytes += bytes
        } else {
            append(Bucket(end: sequence | Self.mask, bytes: bytes))
        }
    }

    /// Takes back what was added for the same sequence, if it still counts.
    @inline(__always)
    package mutating func remove(_ bytes: Int, sequence: UInt64) {
        guard sequence > settled else { return }
        total -= bytes
        buckets[position(of: sequence)].bytes -= bytes
    }

    package mutating func advance(to watermark: UInt64) {
        if watermark >= highest {
            buckets.removeAll(keepingCapacity: true)
            total = 0
            settled = max(settled, watermark)
            return
        }
        while let first = buckets.first, first.end <= watermark {
            total -= first.bytes
            settled = first.end
            buckets.removeFirst()
        }
    }

    @inline(never)
    private mutating func append(_ bucket: Bucket) {
        if buckets.count == Self.bucketLimit {
            buckets.mergePairs { Bucket(end: $1.end, bytes: $0.bytes + $1.bytes) }
        }
        buckets.append(bucket)
    }

    /// The bucket that counts a sequence. There must be one.
    @inline(__always)
    private func position(of sequence: UInt64) -> Int {
        let last = buckets.count - 1
        let distance = (buckets[last].end - sequence) / (Self.mask + 1)
        // The last counts that many, or more.
        return distance == 0 ? last : position(of: sequence, distance: distance, last)
    }

    @inline(never)
    private func position(of sequence: UInt64, distance: UInt64, _ last: Int) -> Int {
        // Mostly all buckets have one length, and the place follows from the distance to the last.
        if distance <= UInt64(last) {
            let guess = last - Int(distance)
            if buckets[guess].end >= sequence,
                guess == 0 || buckets[guess - 1].end < sequence
            {
                return guess
            }
        }
        return search(sequence)
    }

    private func search(_ sequence: UInt64) -> Int {
        var (low, high) = (0, buckets.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if buckets[middle].end < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
