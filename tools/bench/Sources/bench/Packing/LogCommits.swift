import CBase
import Foundation

/// The commits of a log. They are read from its segments, which the article "Format" describes, and put into blocks
/// again.
struct LogCommits {
    struct Commit {
        var time: Int
        var count: Int
        var records: Range<Int>
    }

    struct Block {
        var payload: [UInt8]
        var records = 0
    }

    private(set) var commits: [Commit] = []
    private var bytes: [UInt8] = []

    init(store: String) throws {
        let log = store + "/log/"
        for name in try FileManager.default.contentsOfDirectory(atPath: log).sorted()
        where name.hasSuffix(".zst") {
            let segment = try Data(contentsOf: URL(fileURLWithPath: log + name))
            try segment.withUnsafeBytes { try read($0) }
        }
    }

    private mutating func read(_ segment: UnsafeRawBufferPointer) throws {
        var rest = segment
        var hasPreamble = false
        while let start = rest.baseAddress, !rest.isEmpty {
            let length = ZSTD_findFrameCompressedSize(start, rest.count)
            guard ZSTD_isError(length) == 0 else { throw PeerError("packing", "a torn log") }
            if rest[0] == 0x28 {
                let raw = Int(ZSTD_getFrameContentSize(start, length))
                var payload = [UInt8](repeating: 0, count: raw)
                guard ZSTD_decompress(&payload, raw, start, length) == raw else {
                    throw PeerError("packing", "a damaged log")
                }
                payload.withUnsafeBufferPointer { parse($0, hasPreamble) }
            } else {
                // A skippable frame: a block's header, which comes before its payload.
                hasPreamble = length == 80 && rest[28] & 8 != 0
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        }
    }

    private mutating func parse(_ payload: Bytes, _ hasPreamble: Bool) {
        var cursor = Cursor(payload)
        let end = cursor.at + payload.count
        if hasPreamble {
            cursor.at += 3
            let length = cursor.varint()
            cursor.at += length
        }
        let baseTime = cursor.varint()
        while cursor.at < end {
            let count = cursor.varint()
            let length = cursor.varint()
            let time = baseTime + cursor.varint()
            let start = bytes.count
            bytes += Bytes(start: cursor.at, count: length)
            cursor.at += length
            commits.append(Commit(time: time, count: count, records: start..<bytes.count))
        }
    }

    mutating func removeFirst(_ count: Int) { commits.removeFirst(count) }

    /// Blocks as the flusher makes them. A block is full at `size` bytes or `limit` commits.
    func blocks(ofBytes size: Int = .max, ofCommits limit: Int = .max) -> [Block] {
        var blocks: [Block] = []
        var block = Block(payload: [])
        var (taken, base) = (0, 0)
        for commit in commits {
            if taken == 0 {
                base = commit.time
                block = Block(payload: Self.varints(base))
            }
            block.records += commit.count
            block.payload += Self.varints(commit.count, commit.records.count, commit.time - base)
            block.payload += bytes[commit.records]
            taken += 1
            if taken == limit || block.payload.count >= size {
                blocks.append(block)
                taken = 0
            }
        }
        return taken == 0 ? blocks : blocks + [block]
    }

    private static func varints(_ values: Int...) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 10 * values.count) { buffer, count in
            var cursor = Cursor(buffer.baseAddress!)
            for value in values { cursor.append(varint: value) }
            count = cursor.at - buffer.baseAddress!
        }
    }
}

extension Sequence<LogCommits.Block> {
    var records: Int { reduce(0) { $0 + $1.records } }
    /// Bytes of all payloads.
    var raw: Int { reduce(0) { $0 + $1.payload.count } }
}
