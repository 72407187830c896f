package import EventLog

// Merges bodies as bytes, without decoding their values:
//
//      row + patch   -> row      the patched columns replaced; columns that the row does not hold
//                                yet (added later) are the table's defaults
//      patch + patch -> patch    the columns of both, the newer value where both have one
//
// An amount, in the place of a new value, is added to the older one. A null counts as the column's default, or else as 0.
//
// The grammar is that of Record.swift. A patch's columns ascend, each at most once.

/// How a patch changes a row, and how it changes an earlier patch.
package enum RowMerge {
    /// Higher columns are refused. No table has them, and a row would be filled up to the highest.
    static let columnLimit: UInt64 = 32_768

    /// Appends the row that results from applying `patch` to `row`. `defaults` are the table's encoded default values
    /// by column; they are evaluated only if the patch sets a column that the row does not reach.
    ///
    /// - Parameter isStrict: whether to throw if an amount meets what is no number. Otherwise it counts for nothing.
    package static func row(
        _ row: Span<UInt8>, patch: Span<UInt8>, defaults: @autoclosure () -> [[UInt8]],
        isStrict: Bool = false, into output: inout [UInt8]
    ) throws(MalformedRecord) {
        var reader = ByteReader(0..<row.count)
        let rowCount = UInt64(try reader.valueCount(row))
        var changes = PatchReader(patch)
        let count = max(rowCount, try PatchReader.columnEnd(patch))
        let fallback = count > rowCount ? defaults() : []
        output.append(varint: count)
        try changes.advance(patch)
        var kept = reader.offset
        for column in 0..<count {
            let start = reader.offset
            if column < rowCount { try reader.skipValue(row) }
            if changes.column == column {
                append(row, kept..<start, to: &output)
                let value = changes.value
                if isAmount(patch, value) {
                    let old = start..<reader.offset
                    if let before = try number(row, old, column, defaults) {
                        try append(sum: before, patch, value, to: &output)
                    } else if isStrict {
                        throw noNumber(at: start)
                    } else {
                        append(row, old, to: &output)
                    }
                } else {
                    append(patch, value, to: &output)
                }
                kept = reader.offset
                try changes.advance(patch)
            } else if column >= rowCount {
                append(row, kept..<start, to: &output)
                kept = reader.offset
                appendDefault(fallback, Int(column), to: &output)
            }
        }
        append(row, kept..<reader.offset, to: &output)
    }

    /// Appends the row that `patch` makes if there is none. Columns that it does not set get the defaults.
    package static func row(
        madeBy patch: Span<UInt8>, defaults: [[UInt8]], into output: inout [UInt8]
    ) throws(MalformedRecord) {
        let noValues: [UInt8] = [0]
        try row(noValues.span, patch: patch, defaults: defaults, into: &output)
    }

    /// Appends one patch with the effect of `older` and then `newer`. `defaults` as for ``row(_:patch:defaults:into:)``.
    package static func patch(
        _ older: Span<UInt8>, _ newer: Span<UInt8>, defaults: @autoclosure () -> [[UInt8]],
        into output: inout [UInt8]
    ) throws(MalformedRecord) {
        var count: UInt64 = 0
        try forEachColumn(older, newer) { _, _ in count += 1 }
        output.append(varint: count)
        try forEachColumn(older, newer) { (column, sides) throws(MalformedRecord) in
            output.append(varint: column)
            guard let new = sides.newer else {
                return append(older, sides.older ?? 0..<0, to: &output)
            }
            guard let old = sides.older, isAmount(newer, new) else {
                return append(newer, new, to: &output)
            }
            guard let before = try number(older, old, column, defaults) else {
                return append(older, old, to: &output)
            }
            try append(sum: before, newer, new, isAmount: isAmount(older, old), to: &output)
        }
    }

    /// The columns that a patch sets or adds to, ascending.
    package static func columns(of patch: Span<UInt8>) throws(MalformedRecord) -> [Int] {
        var reader = PatchReader(patch)
        var columns: [Int] = []
        while true {
            try reader.advance(patch)
            if reader.column == PatchReader.end { return columns }
            columns.append(Int(reader.column))
        }
    }

    /// Throws unless the bytes are a patch.
    static func check(_ patch: Span<UInt8>) throws(MalformedRecord) {
        _ = try PatchReader.columnEnd(patch)
    }

    /// The places of a column's values in two patches; at least one of them is there.
    private struct Sides {
        var older: Range<Int>?
        var newer: Range<Int>?
    }

    @inline(__always)
    private static func forEachColumn(
        _ older: Span<UInt8>, _ newer: Span<UInt8>,
        _ body: (UInt64, Sides) throws(MalformedRecord) -> Void
    ) throws(MalformedRecord) {
        var left = PatchReader(older)
        var right = PatchReader(newer)
        try left.advance(older)
        try right.advance(newer)
        while left.column != PatchReader.end || right.column != PatchReader.end {
            let column = min(left.column, right.column)
            try body(
                column,
                Sides(
                    older: left.column == column ? left.value : nil,
                    newer: right.column == column ? right.value : nil))
            if left.column == column { try left.advance(older) }
            if right.column == column { try right.advance(newer) }
        }
    }

    private static func appendDefault(
        _ defaults: [[UInt8]], _ column: Int, to output: inout [UInt8]
    ) {
        if column < defaults.count {
            output.append(contentsOf: defaults[column])
        } else {
            output.append(ValueTag.null.rawValue)
        }
    }

    @inline(__always)
    static func append(
        _ bytes: Span<UInt8>, _ range: Range<Int>, to output: inout [UInt8]
    ) {
        let part = bytes.extracting(range)
        unsafe part.withUnsafeBufferPointer { unsafe output.append(contentsOf: $0) }
    }
}

/// Walks the columns of a patch.
struct PatchReader {
    /// The value of ``column`` behind the last column.
    static let end = UInt64.max

    private(set) var column: UInt64 = 0
    private(set) var value = 0..<0
    private var reader: ByteReader
    private var left: Int?

    init(_ patch: Span<UInt8>) {
        reader = ByteReader(0..<patch.count)
    }

    @inline(__always)
    mutating func advance(_ patch: Span<UInt8>) throws(MalformedRecord) {
        let isFirst = left == nil
        let count: Int
        if let left { count = left } else { count = try reader.valueCount(patch) }
        guard count > 0 else {
            column = Self.end
            left = 0
            return
        }
        left = count - 1
        let next = try reader.varint(patch)
        guard next < RowMerge.columnLimit, isFirst || next > column else {
            throw MalformedRecord(offset: reader.offset, reason: "columns do not ascend")
        }
        column = next
        let start = reader.offset
        try reader.skipValue(patch)
        value = start..<reader.offset
    }

    /// The highest column plus one; 0 for an empty patch.
    static func columnEnd(_ patch: Span<UInt8>) throws(MalformedRecord) -> UInt64 {
        var reader = PatchReader(patch)
        var end: UInt64 = 0
        while true {
            try reader.advance(patch)
            if reader.column == Self.end { return end }
            end = reader.column + 1
        }
    }
}
