/// The surroundings that all parts of a log share.
package struct LogEnvironment: Sendable {
    package var disk: any Disk
    package var layout: StoreLayout
    package var storeID: StoreID
    package var time: any TimeSource
    /// Random numbers, for salts.
    package var random: @Sendable () -> UInt64
    package var observer: (any LogObserver)?

    package init(
        disk: any Disk, layout: StoreLayout, storeID: StoreID, time: any TimeSource = SystemTime(),
        random: @escaping @Sendable () -> UInt64 = { .random(in: 1 ... .max) },
        observer: (any LogObserver)? = nil
    ) {
        self.disk = disk
        self.layout = layout
        self.storeID = storeID
        self.time = time
        self.random = random
        self.observer = observer
    }

    /// The header of a new segment.
    ///
    /// - Parameters:
    ///   - rawBlockBound: the longest payload that its blocks may have.
    ///   - bufferByteCount: the length of its writer's staging buffer.
    func segmentHeader(
        base: UInt64, chain: UInt64, rawBlockBound: Int, bufferByteCount: Int, epoch: UInt64
    ) -> SegmentHeader {
        SegmentHeader(
            kind: .segment, storeID: storeID, salt: random(), base: base, chain: chain,
            other: UInt64(bufferByteCount), created: time.wallMilliseconds() * 1000,
            rawBlockBound: UInt32(rawBlockBound), epoch: epoch)
    }
}

/// The end of a log, with everything that the next segment needs.
package struct LogEnd: Equatable, Sendable {
    package var nextSequence: UInt64
    package var chain: UInt64
    /// The time of the last commit, milliseconds since 1970.
    package var lastTime: UInt64
    package var preamble: Preamble
    /// The highest writer epoch in any file of the log.
    package var epoch: UInt64
    /// The epoch of the next writer. It is for people, and stays at the highest that a header can hold.
    var nextEpoch: UInt64 { min(epoch, .max - 2) + 1 }

    /// The end of a log that holds nothing.
    package init(startOf store: StoreID) {
        nextSequence = 1
        chain = Chain(startOf: store).value
        lastTime = 0
        preamble = Preamble()
        epoch = 0
    }
}
