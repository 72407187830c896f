// Merges small sealed segments. A process that opens and closes the store often leaves such segments.
//
// Segments a < b < c, neighbours, none of them the log's last, become one that keeps a's name. Short blocks
// become longer ones (Reblocking.swift), but none across the border of two segments; the others are copied
// as they are, under the new file's salt. Sequences, times and chain do not change. Each step leaves a
// state that readers and recovery understand:
//
//   step                                        on disk            what it is taken for
//   0                                           a  b  c  d         the log
//   1 write a's successor A, temporary name     a  b  c  d  A.tmp  the log; recovery removes A.tmp
//   2 sync A, read it back and verify           a  b  c  d  A.tmp
//   3 rename A.tmp to a                         A  b  c  d         or still step 2 after power loss
//   4 sync the directory                        A  b  c  d         b, c are leftovers (SegmentList)
//   5 remove b, c                               A [b] [c] d        any of them may still be there
//   6 sync the directory                        A  d
//
// Step 4 comes before step 5, or power loss could keep the removals without the renaming: a hole. From step 3
// to 6 leftovers hold nothing that A does not hold. A reader that comes from a to b finds b, or, when
// it is gone, goes on in A behind the same chain value; one that has a file open keeps reading it.
// Recovery leaves leftovers out, and removes them after it has synced the directory.
//
// The last segment is never merged: recovery rewrites it, and its blocks may not be synced yet.

/// Merges segments.
package struct SegmentMerge {
    private let environment: LogEnvironment
    private let options: LogOptions

    package init(_ environment: LogEnvironment, options: LogOptions) {
        self.environment = environment
        self.options = options
    }

    /// The first group of neighbours that is worth merging; empty if there is none.
    ///
    /// - Parameters:
    ///   - small: a segment of fewer bytes is merged with its neighbours.
    ///   - limit: the most bytes that the result may have.
    ///   - count: the least number of segments in a group.
    package static func group(
        of list: SegmentList, smallerThan small: Int, limit: Int, atLeast count: Int
    ) -> [SegmentSummary] {
        var group: [SegmentSummary] = []
        var bytes = 0
        for segment in list.segments.dropLast() {
            let fits = segment.byteCount < small && segment.footer != nil
            if fits, bytes + segment.byteCount <= limit {
                group.append(segment)
                bytes += segment.byteCount
                continue
            }
            if group.count >= max(2, count) { return group }
            group = fits ? [segment] : []
            bytes = fits ? segment.byteCount : 0
        }
        return group.count >= max(2, count) ? group : []
    }

    /// Makes one segment of neighbours. After an error the log is as before, or already merged. Leftovers may
    /// remain; the next recovery removes them.
    package func merge(_ group: [SegmentSummary]) throws(LogError) {
        guard let first = group.first, let last = group.last?.footer, group.count > 1 else {
            return
        }
        let temporary = StoreLayout.temporary(first.path)
        do throws(LogError) {
            try write(group, last, to: temporary)
            try SegmentScan.verify(
                temporary, nextSequence: last.firstSequence, chain: last.chain, on: environment.disk
            )
        } catch {
            try? environment.disk.remove(temporary)
            throw error
        }
        try onDisk { () throws(SystemError) in
            try environment.disk.rename(temporary, to: first.path)
        }
        try Self.remove(group.dropFirst().map(\.base), environment)
    }

    /// Removes leftovers, after it has made sure that the segment with their records survives power loss.
    static func remove(_ leftovers: [UInt64], _ environment: LogEnvironment) throws(LogError) {
        try onDisk { () throws(SystemError) in
            try environment.disk.synchronizeDirectory(environment.layout.log)
            for base in leftovers { try environment.disk.remove(environment.layout.segment(base)) }
            try environment.disk.synchronizeDirectory(environment.layout.log)
        }
    }

    private func write(
        _ group: [SegmentSummary], _ last: BlockHeader, to path: String
    ) throws(LogError) {
        var header = group[0].header
        header.salt = environment.random()
        for segment in group {
            header.rawBlockBound = max(header.rawBlockBound, segment.header.rawBlockBound)
            header.epoch = max(header.epoch, segment.header.epoch)
        }
        try onDisk { () throws(SystemError) in
            if try environment.disk.exists(path) { try environment.disk.remove(path) }
        }
        let writer = try SegmentWriter(creating: path, header: header, on: environment.disk)
        for segment in group {
            var reblocking = Reblocking(
                try scan(segment.path), to: writer, options,
                keepsPreamble: segment.base == header.base)
            try reblocking.run()
        }
        try writer.synchronize()
        try writer.seal(nextSequence: last.firstSequence, chain: last.chain)
        writer.dropCache()
    }

    /// Reads a sealed segment to its end. Damage in it ends the merge; recovery judges it later.
    private func scan(_ path: String) throws(LogError) -> SegmentScan {
        guard case .opened(let segment) = try SegmentReader.open(path, on: environment.disk) else {
            throw .readsDifferently(path: path)
        }
        let scan = try SegmentScan(segment)
        guard scan.isSealed, scan.fault == nil else {
            throw .corrupt(
                Corruption(
                    path: path, offset: scan.end, firstLost: scan.nextSequence,
                    reason: scan.fault ?? "the footer is missing", evidence: .sealed))
        }
        return scan
    }
}

extension SegmentList {
    /// Removes the oldest segment of the log for good. `log-start` is written first, because otherwise its absence would
    /// look like damage.
    ///
    /// - Throws: ``LogError/poisoned(_:)`` if a directory cannot be synced. Then no other segment may be deleted until the
    ///   store is reopened: it is unknown which names the disk holds, and a later sync that succeeds does not show it. The
    ///   disk could keep the removal of a later segment without that of an earlier one, which would be a gap.
    package static func delete(
        _ segment: SegmentSummary, _ environment: LogEnvironment
    ) throws(LogError) {
        guard let next = segment.nextSequence, let chain = segment.nextChain else { return }
        try LogEdge(
            .start, of: environment.storeID, at: next - 1, chain: chain, epoch: 0
        ).replace(environment)
        try synchronize(environment.layout.root, environment)
        try onDisk { () throws(SystemError) in try environment.disk.remove(segment.path) }
        try synchronize(environment.layout.log, environment)
    }

    private static func synchronize(
        _ directory: String, _ environment: LogEnvironment
    ) throws(LogError) {
        do throws(SystemError) {
            try environment.disk.synchronizeDirectory(directory)
        } catch {
            throw LogError(final: error)
        }
    }
}
