/// The staging file that an unclean end left, read into memory and checked.
///
/// Only used slots are read, so it takes only as much memory as the commits in them.
@safe final class StagingImage {
    /// A commit and its offset in the file.
    struct Found {
        var commit: StagedCommit
        var offset: Int
    }

    enum Content {
        /// There is no staging file: the store was closed cleanly, or never opened.
        case absent
        /// There is one, but it belongs to another store or cannot be read.
        case unusable(FormatFault)
        case image(StagingImage)
    }

    @safe private struct Slot {
        var header: SlotHeader
        /// Its offset in the file.
        var offset: Int
        /// The bytes up to the end of the slot's commits. The image owns them, and commits point into them.
        var bytes: UnsafeMutableBufferPointer<UInt8>
    }

    let path: String
    let header: StagingHeader
    /// nil if the header page does not have it, or its checksum is wrong.
    let published: PublishedProgress?
    /// The slots in the order of their use.
    private var slots: [Slot] = []
    /// The offsets of slots that hold something, but whose headers are both damaged.
    private(set) var damagedSlots: [Int] = []
    /// Commits with a good header before damaged records.
    private(set) var damagedCommits: [Found] = []

    private init(
        _ file: any DiskFile, header: StagingHeader, published: PublishedProgress?
    ) throws(SystemError) {
        path = file.path
        self.header = header
        self.published = published
        for index in 0..<header.slotCount { try readSlot(index, of: file) }
        slots.sort { $0.header.generation < $1.header.generation }
    }

    deinit {
        for slot in slots { unsafe slot.bytes.deallocate() }
    }

    static func read(_ environment: LogEnvironment) throws(LogError) -> Content {
        try read(environment.layout.staging, on: environment.disk, of: environment.storeID)
    }

    /// - Parameter store: the store that it must belong to; nil for any store.
    static func read(
        _ path: String, on disk: any Disk, of store: StoreID?
    ) throws(LogError) -> Content {
        try onDisk { () throws(SystemError) in
            guard try disk.exists(path) else { return .absent }
            let file = try disk.open(path, .read)
            let head = try file.bytes(StagingHeader.byteCount)
            let header: StagingHeader
            do throws(FormatFault) {
                header = try StagingHeader(decoding: head.span)
            } catch {
                return .unusable(error)
            }
            guard store == nil || header.storeID == store else {
                return .unusable(.outOfRange(field: "store UUID"))
            }
            // A staging file gets its name only after it was written to its full length.
            let byteCount = try file.byteCount()
            guard byteCount >= header.byteCount else {
                return .unusable(.truncated(byteCount: byteCount))
            }
            let published = PublishedProgress(decodingPage: head.span, salt: header.salt)
            return .image(try StagingImage(file, header: header, published: published))
        }
    }

    private func readSlot(_ index: Int, of file: any DiskFile) throws(SystemError) {
        let start = header.slotRange(index).lowerBound
        let head = try file.bytes(SlotHeader.byteCount, at: start)
        let copy = try file.bytes(SlotHeader.byteCount, at: start + header.commitsEnd)
        // After power loss, one of them may be from the slot's previous use, whose commits are in segments.
        let headers = [head, copy].compactMap { SlotHeader(decoding: $0.span, salt: header.salt) }
        guard let slotHeader = headers.max(by: { $0.generation < $1.generation }) else {
            if !(head + copy).allSatisfy({ $0 == 0 }) { damagedSlots.append(start) }
            return
        }
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: header.commitsEnd)
        unsafe bytes.initialize(repeating: 0)
        // From here on the image owns the bytes, even if reading throws.
        unsafe slots.append(Slot(header: slotHeader, offset: start, bytes: bytes))
        var target = unsafe bytes.mutableSpan
        _ = try file.read(into: &target, at: start)
    }

    /// Calls `body` for every valid commit, in the order of their sequences. Behind a place without a commit, the next one is
    /// searched at every multiple of 8.
    func forEachCommit<E: Error>(_ body: (Found) throws(E) -> Void) throws(E) {
        damagedCommits = []
        for slot in slots {
            let bytes = unsafe UnsafeRawBufferPointer(slot.bytes)
            var offset = SlotHeader.byteCount
            while offset + StagedCommit.headerByteCount <= bytes.count {
                let item = unsafe StagedCommit.read(
                    bytes, at: offset, base: slot.header.firstSequence, salt: header.salt,
                    generation: slot.header.generation)
                switch item {
                case .commit(let commit):
                    try body(Found(commit: commit, offset: slot.offset + offset))
                    offset += commit.byteCount
                case .damaged(let commit):
                    damagedCommits.append(Found(commit: commit, offset: slot.offset + offset))
                    offset += commit.byteCount
                case .none:
                    offset += 8
                }
            }
        }
    }

    /// The slots that hold these commits, in the order of their use.
    func slots(holding staged: [Found]) -> [Int] {
        slots.indices.filter { index in
            let start = slots[index].offset
            return staged.contains { (start..<start + header.slotSize).contains($0.offset) }
        }
    }

    /// The header of a file that has only copies of this many slots.
    func header(ofCopyWith slotCount: Int) -> [UInt8] {
        StagingHeader(
            storeID: header.storeID, salt: header.salt, slotSize: header.slotSize,
            slotCount: slotCount, epoch: header.epoch
        ).encoded()
    }

    /// A copy of a slot's bytes.
    func copy(ofSlot index: Int) -> [UInt8] {
        let slot = slots[index]
        return unsafe Array(slot.bytes) + slot.header.encoded(salt: header.salt)
    }
}
