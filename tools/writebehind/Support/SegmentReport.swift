import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// The output of `inspect`.
struct SegmentReport {
    private let store: StoreInspection
    private let segments: [SegmentHeaders]
    private let range: ClosedRange<UInt64>
    private let clock: Clock

    init(_ store: StoreInspection, range: ClosedRange<UInt64>, clock: Clock) throws {
        self.store = store
        self.range = range
        self.clock = clock
        segments = try LogReader.segmentBases(store.environment).map {
            try SegmentHeaders(store.environment, base: $0)
        }
    }

    private var shown: [SegmentHeaders] {
        segments.filter { $0.base <= range.upperBound && $0.nextSequence > range.lowerBound }
    }

    /// The missing sequences before a segment.
    private func gap(before segment: SegmentHeaders) -> ClosedRange<UInt64>? {
        guard let before = segments.last(where: { $0.base < segment.base }),
            before.nextSequence < segment.base
        else { return nil }
        return before.nextSequence...segment.base - 1
    }

    var hasGap: Bool { segments.contains { gap(before: $0) != nil } }

    // MARK: for people

    func lines(blocks: Bool) -> [String] {
        var lines: [String] = []
        if blocks {
            for segment in shown {
                lines.append(title(segment))
                lines += blockTable(segment).lines
                for fault in segment.faults {
                    lines.append("offset \(fault.offset): \(fault.reason)".red)
                }
                lines.append("")
            }
        } else {
            lines += segmentTable.lines
        }
        for segment in shown {
            if let gap = gap(before: segment) {
                lines.append("gap: #\(gap.lowerBound) to #\(gap.upperBound) are in no segment".red)
            }
        }
        lines.append(contentsOf: ending)
        return lines
    }

    private var segmentTable: TextTable {
        var table = TextTable([
            .init(title: "first"), .init(title: "last"), .init(title: "records"),
            .init(title: "raw"), .init(title: "size"), .init(title: "ratio"),
            .init(title: "until", isNumber: false), .init(title: "state", isNumber: false),
        ])
        for segment in shown {
            table.append([
                "\(segment.base)", "\(segment.nextSequence - 1)",
                WriteBehindText.count(segment.recordCount), WriteBehindText.bytes(segment.rawBytes),
                WriteBehindText.bytes(segment.byteCount), ratio(segment),
                segment.blocks.last.map { time($0.header) } ?? "",
                state(segment),
            ])
        }
        return table
    }

    private func ratio(_ segment: SegmentHeaders) -> String {
        guard segment.packedBytes > 0 else { return "" }
        return WriteBehindText.fixed(Double(segment.rawBytes) / Double(segment.packedBytes), 2)
    }

    private func time(_ block: BlockHeader) -> String {
        String(clock.full(block.time / 1000).dropLast(4))
    }

    private func state(_ segment: SegmentHeaders) -> String {
        if segment.header == nil { return "damaged header".red }
        if segment.isSealed { return "sealed" }
        guard segment.base == segments.last?.base else { return "not sealed".red }
        if case .live = store.state { return "active".green }
        return segment.faults.isEmpty ? "not sealed".yellow : "torn".yellow
    }

    private func title(_ segment: SegmentHeaders) -> String {
        StoreLayout.fileName(segment.base).bold + "  " + state(segment)
    }

    private func blockTable(_ segment: SegmentHeaders) -> TextTable {
        var table = TextTable([
            .init(title: "offset"), .init(title: "first"), .init(title: "last"),
            .init(title: "raw"), .init(title: "packed"), .init(title: "durable"),
            .init(title: "time", isNumber: false), .init(title: "holds", isNumber: false),
        ])
        for (header, offset) in segment.blocks where isShown(header) {
            table.append([
                "\(offset)", "\(header.firstSequence)", "\(header.nextSequence - 1)",
                "\(header.rawLength)", "\(header.packedLength)",
                header.durable.map { "\($0)" } ?? "?", time(header), Self.holds(header),
            ])
        }
        return table
    }

    private func isShown(_ header: BlockHeader) -> Bool {
        header.firstSequence <= range.upperBound && header.nextSequence > range.lowerBound
    }

    static func holds(_ header: BlockHeader) -> String {
        var words: [String] = []
        if header.flags.contains(.preamble) { words.append("schemas") }
        if header.flags.contains(.define) { words.append("define") }
        if header.flags.contains(.mark) { words.append("mark") }
        if header.flags.contains(.reblocked) { words.append("re-blocked") }
        return words.joined(separator: " ")
    }

    private var ending: [String] {
        var lines: [String] = []
        if let published = store.published {
            lines.append("durable, as the write buffer (staging) says: #\(published)")
        }
        if let log = store.log, let first = log.staged.first {
            lines.append(
                "in the write buffer (staging) only: \(WriteBehindText.count(log.staged.count)) commits, "
                    + "#\(first.firstSequence) to #\(log.plan.end)")
        }
        for finding in store.log?.judgement.findings ?? [] where finding.severity == .torn {
            let isTail = finding.path == store.log?.tail?.path
            let what =
                isTail
                ? WriteBehindText.bytes(store.log?.plan.tornBytes ?? 0)
                : String(finding.path.dropFirst(store.layout.root.count + 1))
            lines.append(
                "torn: \(what) from offset \(finding.offset ?? 0): ".yellow + finding.reason)
        }
        return lines
    }

    // MARK: JSON

    func json(blocks: Bool) -> JSON {
        .object([
            ("v", .number(1)), ("state", .string(StatusReport.stateWord(store))),
            ("published", .optional(store.published) { .number($0) }),
            ("staged", .number(store.log?.staged.count ?? 0)),
            ("end", .number(store.end)),
            ("segments", .array(shown.map { json($0, blocks: blocks) })),
        ])
    }

    private func json(_ segment: SegmentHeaders, blocks: Bool) -> JSON {
        var fields: [(String, JSON)] = [
            ("first", .number(segment.base)), ("last", .number(segment.nextSequence - 1)),
            ("records", .number(segment.recordCount)), ("blocks", .number(segment.blocks.count)),
            ("bytes", .number(segment.byteCount)), ("raw", .number(segment.rawBytes)),
            ("packed", .number(segment.packedBytes)), ("sealed", .bool(segment.isSealed)),
            ("epoch", .optional(segment.header?.epoch) { .number($0) }),
            ("until", .optional(segment.blocks.last?.header.time) { .time($0 / 1000) }),
            (
                "gapBefore",
                .optional(gap(before: segment)) {
                    .array([.number($0.lowerBound), .number($0.upperBound)])
                }
            ),
            (
                "faults",
                .array(
                    segment.faults.map {
                        .object([("offset", .number($0.offset)), ("reason", .string($0.reason))])
                    })
            ),
        ]
        if blocks {
            let list = segment.blocks.filter { isShown($0.header) }
            fields.append(("blockList", .array(list.map { json($0.header, at: $0.offset) })))
        }
        return .object(fields)
    }

    private func json(_ block: BlockHeader, at offset: Int) -> JSON {
        .object([
            ("offset", .number(offset)), ("first", .number(block.firstSequence)),
            ("last", .number(block.nextSequence - 1)), ("raw", .number(block.rawLength)),
            ("packed", .number(block.packedLength)),
            ("durable", .optional(block.durable) { .number($0) }),
            ("time", .time(block.time / 1000)), ("holds", .string(Self.holds(block))),
        ])
    }
}
