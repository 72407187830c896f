import EventLog
import Glibc
import TestSupport

/// The bytes of format version 1, kept in `Golden/` for ever.
///
///     Golden/headers-v1.txt      one line each: name, bytes in hexadecimal
///     Golden/commits-v1.txt      what the store holds: first sequence, count, time, records
///     Golden/store-v1/…          a store that was killed: sealed segments, an active one, staged commits
///
/// They were written once, by `swift test --filter FormatTests` with `EVENTLOG_WRITE_GOLDEN` set in the environment,
/// and are never written again for the same version: a format that changes gets a new version and new files.
enum GoldenStore {
    static let directory =
        String(#filePath.dropLast("GoldenStore.swift".utf8.count)) + "Golden"
    static let isWriting = getenv("EVENTLOG_WRITE_GOLDEN") != nil
    static let salt: UInt64 = 0x0123_4567_89AB_CDEF

    /// Bytes of every kind of header, from fixed fields that are all different.
    static var headers: [(name: String, bytes: [UInt8])] {
        var segment = SegmentHeader(
            kind: .segment, storeID: LogHarness.storeID, salt: salt, base: 48213, chain: 0xC0FF_EE,
            other: 1, created: 1_700_000_000_000_000, rawBlockBound: 1 << 20, epoch: 3)
        segment.compatibleFeatures = 8
        var snapshot = segment
        snapshot.kind = .snapshot
        let block = BlockHeader(
            kind: .block, firstSequence: 48213, count: 64, flags: [.mark, .preamble],
            unsyncedBefore: 17, packedLength: 1500, rawLength: 6900, span: 250,
            time: 1_700_000_000_123_000, content: 0x1111_2222_3333_4444,
            chain: 0x5555_6666_7777_8888, tables: TableSet(bits: 0x9999_AAAA_BBBB_CCCC))
        var footer = block
        footer.kind = .footer
        footer.flags = .footer
        footer.packedLength = 1057
        footer.rawLength = 0
        footer.tables = TableSet()
        var table = SeekTable()
        table.append(compressed: 128, decompressed: 0)
        table.append(compressed: 80, decompressed: 0)
        table.append(compressed: 1500, decompressed: 6900)
        table.append(compressed: 80, decompressed: 0)
        return [
            ("segment", segment.encoded()), ("snapshot", snapshot.encoded()),
            ("block", block.encoded(salt: salt)), ("footer", footer.encoded(salt: salt)),
            ("seek-table", table.encoded()),
        ]
    }

    /// The store, made again by today's code: a define, a mark, sealed segments, an active one, staged commits.
    static func made() throws -> SimulatedDisk {
        let harness = LogHarness(seed: 11, options: .tiny)
        let log = try harness.open()
        let schema = Array(#"{"name":"flight"}"#.utf8)
        let define = [Operation.define.rawValue, 1, 0, UInt8(schema.count)] + schema
        let mark = [Operation.mark.rawValue, 0, 0, 4] + Array("noon".utf8)
        for (records, flags) in [(define, LogFlags.define), (mark, .mark)] {
            _ = try records.withUnsafeBytes {
                try log.append($0, count: 1, flags: flags, time: harness.time.wallMilliseconds())
            }
            harness.time.advance(milliseconds: 5)
        }
        for index in 0..<18 {
            try harness.append(commits: 1, count: UInt32(index % 3 + 1), byteCount: 50)
            harness.time.advance(milliseconds: 7)
            if index % 4 == 3 { harness.makeDurable() }
        }
        harness.crash(.process)
        return harness.disk
    }

    /// The store as it was written down.
    static func stored() throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        for path in ["/store", "/store/log", "/store/aside"] {
            try disk.createDirectory(path)
        }
        try disk.overwrite("/store/staging", try read("store-v1/staging"))
        for name in try PosixDisk().list(directory + "/store-v1/log") {
            try disk.overwrite("/store/log/" + name, try read("store-v1/log/" + name))
        }
        return disk
    }

    static func read(_ name: String) throws -> [UInt8] {
        let file = try PosixDisk().open(directory + "/" + name, .read)
        return try file.read(try file.byteCount())
    }

    /// The words of a text file, by line.
    static func lines(_ name: String) throws -> [[String]] {
        String(decoding: try read(name), as: UTF8.self).split(separator: "\n")
            .map { $0.split(separator: " ").map(String.init) }
    }

    static func write(_ disk: SimulatedDisk, commits: [[String]]) throws {
        for path in ["", "/store-v1", "/store-v1/log"] {
            try PosixDisk().createDirectory(directory + path)
        }
        let headers = headers.map { "\($0.name) \(hexadecimal($0.bytes))\n" }.joined()
        try PosixDisk().create(directory + "/headers-v1.txt", Array(headers.utf8))
        let text = commits.map { $0.joined(separator: " ") + "\n" }.joined()
        try PosixDisk().create(directory + "/commits-v1.txt", Array(text.utf8))
        for path in disk.allFiles where !path.hasSuffix(".txt") {
            let target = directory + "/store-v1" + path.dropFirst("store".utf8.count)
            try PosixDisk().create(target, disk.readAll("/" + path) ?? [])
        }
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
