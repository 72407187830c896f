import EventLog
import Glibc

/// The bytes of one file: as reads see them, as they were synced, and what happened in between.
struct SimulatedContents: Sendable {
    static let sectorSize = 512
    static let sectorsPerPage = 8
    /// How many bytes are compared at once.
    private static let stretch = 128 * sectorSize

    /// The bytes that reads see, after ``absorb()``.
    private(set) var current: [UInt8] = []
    /// The bytes that the disk holds for certain.
    private var durable: [UInt8] = []
    /// The contents of dirty sectors since the last sync, oldest first, zero-padded to a sector.
    private var dirty: [Int: [[UInt8]]] = [:]
    /// The same for sectors that a failed sync forgot: no sync writes them any more.
    private var forgotten: [Int: [[UInt8]]] = [:]
    /// The shortest and longest the file has been since the last sync.
    private var lengths = 0...0
    /// A failed sync forgot the length too.
    private var lengthIsForgotten = false
    /// The pages whose blocks a copy of the file shares, and the copy's node.
    private(set) var shared: (pages: Set<Int>, copy: Int) = ([], 0)
    /// How many shared pages were stored to through a mapping, and so took room.
    private(set) var pagesTaken = 0
    /// The memory of mappings. As far as it reaches, it counts instead of `current`.
    private var pages: SimulatedPages?

    init() {}

    init(durable bytes: [UInt8]) {
        self.init()
        settle(as: bytes)
    }

    // MARK: Use

    mutating func read(_ count: Int, at offset: Int) -> [UInt8] {
        absorb()
        guard offset < current.count else { return [] }
        return Array(current[offset..<min(current.count, offset + count)])
    }

    mutating func write(_ bytes: [UInt8], at offset: Int) {
        guard !bytes.isEmpty else { return }
        absorb()
        let end = offset + bytes.count
        if end > durable.count { lengthIsForgotten = false }
        let oldCount = current.count
        resize(to: max(oldCount, end))
        current.replaceSubrange(offset..<end, with: bytes)
        pages?.write(bytes, at: offset)
        unshare(offset..<end)
        noteSectors(of: min(offset, oldCount)..<end)
    }

    mutating func truncate(to byteCount: Int) {
        absorb()
        lengthIsForgotten = false
        let oldCount = current.count
        resize(to: byteCount)
        if byteCount < oldCount {
            let cut = [UInt8](repeating: 0, count: oldCount - byteCount)
            pages?.write(cut, at: byteCount)
        }
        noteSectors(of: min(oldCount, byteCount)..<max(oldCount, byteCount))
    }

    /// Makes the sectors of this range, or all, and the length durable.
    mutating func synchronize(_ range: Range<Int>? = nil) {
        absorb()
        if !lengthIsForgotten {
            durable.resize(to: current.count)
            lengths = current.count...current.count
            forgotten = forgotten.filter { $0.key * Self.sectorSize < current.count }
        }
        if range == nil, forgotten.isEmpty {
            (durable, dirty) = (current, [:])
            return
        }
        for index in dirtySectors(in: range) {
            dirty[index] = nil
            durable.putSector(current.sector(index), at: index)
        }
    }

    /// After a failed sync: the bytes that it should have written count as written from now on, although they are not.
    mutating func forget(_ range: Range<Int>? = nil) {
        absorb()
        for index in dirtySectors(in: range) {
            forgotten[index] = dirty.removeValue(forKey: index)
        }
        if lengths.lowerBound != lengths.upperBound { lengthIsForgotten = true }
    }

    // MARK: Mapping

    /// The memory for the file's first `byteCount` bytes. Nil if the model has no such memory:
    /// beyond the end of the file, or beyond what a mapping that is in use was made for.
    mutating func map(byteCount: Int, sharedByThreads: Bool) -> SimulatedPages? {
        absorb()
        guard byteCount > 0, byteCount <= current.count else { return nil }
        if let pages, pages.byteCount >= byteCount { return pages }
        guard pages == nil || isKnownUniquelyReferenced(&pages) else { return nil }
        let made = SimulatedPages(current, sharedByThreads: sharedByThreads)
        pages = made
        return made
    }

    /// Takes over the bytes that were stored into mapped memory since the last call.
    mutating func absorb() {
        guard let pages else { return }
        let mapped = pages.read(min(pages.byteCount, current.count))
        // Most of it is unchanged.
        for start in stride(from: 0, to: mapped.count, by: Self.stretch) {
            let end = min(start + Self.stretch, mapped.count)
            if !mapped.equals(current, in: start..<end) { absorb(mapped, in: start..<end) }
        }
    }

    private mutating func absorb(_ mapped: [UInt8], in range: Range<Int>) {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.sectorSize) {
            let end = min(start + Self.sectorSize, range.upperBound)
            guard !mapped.equals(current, in: start..<end) else { continue }
            current.replaceSubrange(start..<end, with: mapped[start..<end])
            pagesTaken += unshare(start..<end)
            noteSectors(of: start..<end)
        }
    }

    /// Ends all mappings. Bytes that were stored through them stay.
    mutating func unmap() {
        absorb()
        pages = nil
    }

    // MARK: Sharing

    /// A copy shares all blocks from now on.
    mutating func share(with copy: Int) {
        absorb()
        let pageSize = Self.sectorSize * Self.sectorsPerPage
        shared = (Set(0..<(current.count + pageSize - 1) / pageSize), copy)
    }

    /// The shared pages of a range.
    func sharedPages(in range: Range<Int>) -> Set<Int> {
        guard !shared.pages.isEmpty, !range.isEmpty else { return [] }
        let pageSize = Self.sectorSize * Self.sectorsPerPage
        let pages = range.lowerBound / pageSize...(range.upperBound - 1) / pageSize
        return shared.pages.filter { pages.contains($0) }
    }

    /// Gives the pages of a range blocks of their own. Returns how many had none.
    @discardableResult
    mutating func unshare(_ range: Range<Int>) -> Int {
        let pages = sharedPages(in: range)
        shared.pages.subtract(pages)
        return pages.count
    }

    // MARK: Power loss

    /// Becomes what a disk might hold after power loss, and forgets everything else.
    mutating func losePower<R: RandomNumberGenerator>(using random: inout R) {
        unmap()
        switch UInt8.random(in: 0..<8, using: &random) {
        case 0: settle(as: durable)
        case 1: settle(as: current)
        default: settle(as: survivingBytes(using: &random))
        }
    }

    private func survivingBytes<R: RandomNumberGenerator>(using random: inout R) -> [UInt8] {
        var survivor = durable
        survivor.resize(to: survivingLength(using: &random))
        let candidates = dirty.merging(forgotten) { older, _ in older }
        var page = -1
        var choice = UInt8(0)
        for index in candidates.keys.sorted() {
            if index / Self.sectorsPerPage != page {
                page = index / Self.sectorsPerPage
                choice = UInt8.random(in: 0..<4, using: &random)
            }
            guard let versions = candidates[index], let newest = versions.last else { continue }
            switch choice {
            case 0: break  // the page did not reach the disk
            case 1: survivor.putSector(newest, at: index)
            default: survivor.putSector(tear(index, versions, newest, &random), at: index)
            }
        }
        return survivor
    }

    private func survivingLength<R: RandomNumberGenerator>(using random: inout R) -> Int {
        switch UInt8.random(in: 0..<4, using: &random) {
        case 0: durable.count
        case 1: current.count
        default: Int.random(in: lengths, using: &random)
        }
    }

    /// The content of one sector after a page was written in part.
    private func tear<R: RandomNumberGenerator>(
        _ index: Int, _ versions: [[UInt8]], _ newest: [UInt8], _ random: inout R
    ) -> [UInt8] {
        let synced = durable.sector(index)
        switch UInt8.random(in: 0..<8, using: &random) {
        case 0...2: return synced
        case 3...5: return newest
        case 6: return versions.randomElement(using: &random) ?? newest
        default:
            var garbage = synced
            let end = durable.count - index * Self.sectorSize
            for byte in garbage.indices {
                let changed = versions.contains { $0[byte] != synced[byte] }
                if byte >= end || changed {
                    garbage[byte] = UInt8.random(in: 0...255, using: &random)
                }
            }
            return garbage
        }
    }

    // MARK: Bookkeeping

    private mutating func settle(as bytes: [UInt8]) {
        current = bytes
        durable = bytes
        dirty = [:]
        forgotten = [:]
        lengths = bytes.count...bytes.count
        lengthIsForgotten = false
    }

    private mutating func resize(to byteCount: Int) {
        current.resize(to: byteCount)
        lengths = min(lengths.lowerBound, byteCount)...max(lengths.upperBound, byteCount)
    }

    private mutating func noteSectors(of range: Range<Int>) {
        guard !range.isEmpty else { return }
        let size = Self.sectorSize
        for index in range.lowerBound / size...(range.upperBound - 1) / size {
            if let older = forgotten.removeValue(forKey: index) {
                dirty[index, default: []] += older
            }
            dirty[index, default: []].append(current.sector(index))
        }
    }

    private func dirtySectors(in range: Range<Int>?) -> [Int] {
        guard let range else { return Array(dirty.keys) }
        let pageSize = Self.sectorSize * Self.sectorsPerPage
        let pages = range.lowerBound / pageSize...(max(range.upperBound, 1) - 1) / pageSize
        return dirty.keys.filter { pages.contains($0 / Self.sectorsPerPage) }
    }
}

extension [UInt8] {
    fileprivate mutating func resize(to byteCount: Int) {
        if byteCount < count { removeLast(count - byteCount) }
        if byteCount > count { append(contentsOf: [UInt8](repeating: 0, count: byteCount - count)) }
    }

    /// A sector's bytes, zero behind the end.
    fileprivate func sector(_ index: Int) -> [UInt8] {
        let size = SimulatedContents.sectorSize
        let start = Swift.min(index * size, count)
        let end = Swift.min(start + size, count)
        var sector = [UInt8](self[start..<end])
        sector.resize(to: size)
        return sector
    }

    /// Puts the part of a sector that lies before the end.
    fileprivate mutating func putSector(_ sector: [UInt8], at index: Int) {
        let start = index * SimulatedContents.sectorSize
        guard start < count else { return }
        let end = Swift.min(start + sector.count, count)
        replaceSubrange(start..<end, with: sector[..<(end - start)])
    }

    fileprivate func equals(_ other: [UInt8], in range: Range<Int>) -> Bool {
        unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { others in
                // An array with this range is not empty.
                guard let left = mine.baseAddress, let right = others.baseAddress else {
                    return true
                }
                let start = range.lowerBound
                return unsafe memcmp(left + start, right + start, range.count) == 0
            }
        }
    }
}
