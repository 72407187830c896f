/// The times of consecutive commits of the log, by sequence. There is one entry for each time that differs from the
/// one before; the clock's tick allows a few hundred in a second.
struct CommitTimes {
    private var sequences: [UInt64] = []
    private var times: [UInt64] = []

    var byteCount: Int { sequences.count * 16 }

    /// Adds the next commit.
    mutating func append(_ sequence: UInt64, time: UInt64) {
        guard times.last != time else { return }
        sequences.append(sequence)
        times.append(time)
    }

    /// The time of the commit that holds `sequence`, which must have been added.
    func time(of sequence: UInt64) -> UInt64 {
        var low = 0
        var high = sequences.count
        while low < high {
            let middle = (low + high) / 2
            if sequences[middle] <= sequence { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? times[low - 1] : 0
    }

    mutating func removeAll() {
        sequences.removeAll(keepingCapacity: true)
        times.removeAll(keepingCapacity: true)
    }
}
