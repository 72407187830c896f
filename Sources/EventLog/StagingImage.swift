/// What an unclean end left in the staging file, read into memory and checked.
@safe final class StagingImage {
    /// A frame and where it stands in the file.
    struct Found {
        var frame: StagedFrame
        var offset: Int
    }

    enum Content {
        /// There is no staging file: the store was closed cleanly, or never opened.
        case absent
        /// There is one, but not of this store or no longer readable.
        case unusable(FormatFault)
        case image(StagingImage)
    }

    let path: String
    let header: StagingHeader
    /// Owned: frames point into it.
    private let bytes: UnsafeMutableBufferPointer<UInt8>

    private init(_ file: any DiskFile, header: StagingHeader) throws(SystemError) {
        path = file.path
        self.header = header
        // No longer than the header says, which has a limit of its own.
        let count = min(try file.byteCount(), header.byteCount)
        unsafe bytes = .allocate(capacity: count)
        unsafe bytes.initialize(repeating: 0)
        var target = unsafe bytes.mutableSpan
        _ = try file.read(into: &target, at: 0)
    }

    deinit {
        unsafe bytes.deallocate()
    }

    static func read(_ environment: LogEnvironment) throws(LogError) -> Content {
        let path = environment.layout.staging
        return try onDisk { () throws(SystemError) in
            guard try environment.disk.exists(path) else { return .absent }
            let file = try environment.disk.open(path, .read)
            let head = try file.bytes(StagingHeader.byteCount)
            let header: StagingHeader
            do throws(FormatFault) {
                header = try StagingHeader(decoding: head.span)
            } catch {
                return .unusable(error)
            }
            guard header.storeID == environment.storeID else {
                return .unusable(.outOfRange(field: "store UUID"))
            }
            return .image(try StagingImage(file, header: header))
        }
    }

    /// Calls back for every valid frame in the order of their sequences. Where one is broken, the next is
    /// looked for at every multiple of 8.
    func forEachFrame<E: Error>(_ body: (Found) throws(E) -> Void) throws(E) {
        let slots = (0..<header.slotCount).compactMap { index in
            slotHeader(index).map { (index: index, header: $0) }
        }
        for (index, slot) in slots.sorted(by: { $0.header.generation < $1.header.generation }) {
            var offset = SlotHeader.byteCount
            while offset + StagedFrame.headerByteCount <= header.slotSize {
                if let found = frame(slot: index, slot, at: offset) {
                    try body(found)
                    offset += found.frame.byteCount
                } else {
                    offset += 8
                }
            }
        }
    }

    private func slotHeader(_ index: Int) -> SlotHeader? {
        let range = header.slotRange(index)
        guard unsafe range.upperBound <= bytes.count else { return nil }
        return unsafe SlotHeader(decoding: bytes.span.extracting(range), salt: header.salt)
    }

    private func frame(slot index: Int, _ slot: SlotHeader, at offset: Int) -> Found? {
        let range = header.slotRange(index)
        let slotBytes = unsafe UnsafeRawBufferPointer(
            UnsafeMutableBufferPointer(rebasing: bytes[range]))
        return unsafe StagedFrame.read(
            slotBytes, at: offset, base: slot.firstSequence, salt: header.salt,
            generation: slot.generation
        ).map { Found(frame: $0, offset: range.lowerBound + offset) }
    }

    /// A copy of a frame's bytes.
    func copy(of found: Found) -> [UInt8] {
        unsafe Array(bytes[found.offset..<found.offset + found.frame.byteCount])
    }
}
