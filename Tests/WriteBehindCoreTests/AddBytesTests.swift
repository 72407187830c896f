import EventLog
import Foundation
import Testing
import WriteBehindCore

/// The bytes of an add are those of the example in Format.md.
@Suite struct AddBytesTests {
    private static let schema = TableSchema(
        "post", [.key("id", .integer), .column("title", .text), .column("likes", .integer)])

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
            .joined(separator: " ")
    }

    @Test func theRecordOfTheExampleIsAnAdd() throws {
        let page = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/WriteBehind/WriteBehind.docc/Format.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let key = try KeyCodec.encode([.integer(7)], Self.schema)
        let add = RowCodec.encodeAdd([ColumnAmount(column: 1, amount: 1)], makesRow: true)
        let record = PastHarness.record(.add, key, add)
        let example = text.components(separatedBy: "For example, `posts.add").last ?? ""
        let rows = example.split(separator: "\n").filter { $0.hasPrefix("| `") }.prefix(8)
        let bytes = rows.compactMap { $0.split(separator: "`").dropFirst().first }
        #expect(bytes.joined(separator: " ") == Self.hex(record))
        var sum: [UInt8] = []
        try RowMerge.row(
            [2, 0, 1] + Self.varint(zigzag(.max)),
            patch: [1, 1, 5] + Self.varint(zigzag(.max)), into: &sum)
        #expect(
            example.contains("`\(Self.hex(sum.dropFirst(2)))` in its place"), "\(Self.hex(sum))")
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: value)
        return bytes
    }
}

extension RowMerge {
    fileprivate static func row(_ row: [UInt8], patch: [UInt8], into sum: inout [UInt8]) throws {
        try RowMerge.row(row.span, patch: patch.span, defaults: [], into: &sum)
    }
}
