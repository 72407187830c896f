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
    package static func row(
        _ row: Span<UInt8>, patch: Span<UInt8>, defaults: @autoclosure () -> [[UInt8]],
        into output: inout [UInt8]
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
                    if let before = try integer(row, old, column, defaults) {
                        try append(sum: before, patch, value, to: &output)
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
            guard let before = try integer(older, old, column, defaults) else {
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
    private static func append(
        _ bytes: Span<UInt8>, _ range: Range<Int>, to output: inout [UInt8]
    ) {
        let part = bytes.extracting(range)
        unsafe part.withUnsafeBufferPointer { unsafe output.append(contentsOf: $0) }
    }
}

extension RowMerge {
    // MARK: Amounts

    /// What an add does: the first byte of its body.
    package enum Origin: UInt8, Sendable {
        /// The amounts count only if the row is there.
        case ifThere = 0
        /// Without a row, the amounts and the defaults make one.
        case making = 1
        /// The row is there, because the first change was a patch.
        case known = 2
        /// Different changes, depending on whether the row is there.
        case either = 3
    }

    /// The parts of an add's body: patches, with amounts in the place of values.
    package struct Parts: Sendable {
        package var origin: Origin
        /// What is done to a row that is there.
        package var there: Range<Int>
        /// What makes the row if there is none; nil if nothing does.
        package var missing: Range<Int>?
    }

    package static func origin(_ add: Span<UInt8>) throws(MalformedRecord) -> Origin {
        guard add.count > 0, let origin = Origin(rawValue: add[0]) else {
            throw MalformedRecord(offset: 0, reason: "an add without an origin")
        }
        return origin
    }

    package static func parts(_ add: Span<UInt8>) throws(MalformedRecord) -> Parts {
        let origin = try origin(add)
        let all = 1..<add.count
        switch origin {
        case .ifThere: return Parts(origin: origin, there: all)
        case .making, .known: return Parts(origin: origin, there: all, missing: all)
        case .either:
            var reader = ByteReader(all)
            let missing = try reader.take(try reader.varint(add))
            return Parts(origin: origin, there: reader.offset..<add.count, missing: missing)
        }
    }

    private static func parts(
        _ change: Span<UInt8>, isAdd: Bool
    ) throws(MalformedRecord) -> Parts {
        if isAdd { return try parts(change) }
        let all = 0..<change.count
        return Parts(origin: .known, there: all, missing: all)
    }

    /// Appends one add with the effect of `older` and then `newer`, at least one of which is an add, the other an add or a
    /// patch.
    package static func add(
        _ older: Span<UInt8>, isAdd olderAdds: Bool, _ newer: Span<UInt8>, isAdd newerAdds: Bool,
        defaults: @autoclosure () -> [[UInt8]], into output: inout [UInt8]
    ) throws(MalformedRecord) {
        let (old, new) = (
            try parts(older, isAdd: olderAdds), try parts(newer, isAdd: newerAdds)
        )
        let depends =
            old.origin == .either || new.origin == .either
            || old.missing == nil && new.missing != nil
        output.append((depends ? .either : old.origin).rawValue)
        if depends {
            var missing: [UInt8] = []
            if let before = old.missing {
                // The older change has made the row.
                try patch(
                    older.extracting(before), newer.extracting(new.there), defaults: defaults(),
                    into: &missing)
            } else if let made = new.missing {
                append(newer, made, to: &missing)
            }
            output.append(varint: UInt64(missing.count))
            output += missing
        }
        try patch(
            older.extracting(old.there), newer.extracting(new.there), defaults: defaults(),
            into: &output)
    }

    /// Throws unless the bytes are an add.
    static func check(add: Span<UInt8>) throws(MalformedRecord) {
        let parts = try parts(add)
        try check(add.extracting(parts.there))
        if let missing = parts.missing { try check(add.extracting(missing)) }
    }

    /// Appends the patch that has the effect of an add, given without its origin, on a row: its values are no amounts.
    package static func patch(
        adding amounts: Span<UInt8>, to row: Span<UInt8>, defaults: @autoclosure () -> [[UInt8]],
        into output: inout [UInt8]
    ) throws(MalformedRecord) {
        var reader = ByteReader(0..<row.count)
        let rowCount = UInt64(try reader.valueCount(row))
        var changes = PatchReader(amounts)
        var counter = ByteReader(0..<amounts.count)
        output.append(varint: UInt64(try counter.valueCount(amounts)))
        try changes.advance(amounts)
        var column: UInt64 = 0
        while changes.column != PatchReader.end {
            while column < min(changes.column, rowCount) {
                try reader.skipValue(row)
                column += 1
            }
            let start = reader.offset
            if column < rowCount { try reader.skipValue(row) }
            column += 1
            output.append(varint: changes.column)
            if isAmount(amounts, changes.value) {
                let before = try integer(row, start..<reader.offset, changes.column, defaults)
                guard let before else {
                    throw MalformedRecord(
                        offset: start, reason: "an amount is added to what is no integer")
                }
                try append(sum: before, amounts, changes.value, to: &output)
            } else {
                append(amounts, changes.value, to: &output)
            }
            try changes.advance(amounts)
        }
    }

    @inline(__always)
    private static func isAmount(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Bool {
        bytes[value.lowerBound] == ValueTag.amount.rawValue
    }

    /// A value as an integer; nil if it is none. That is no error here: a column that took amounts may hold reals by now, and
    /// somebody may have changed the database by hand. Amounts for such a value count for nothing, and the database, which
    /// gets the value, refuses them.
    private static func integer(
        _ bytes: Span<UInt8>, _ value: Range<Int>, _ column: UInt64, _ defaults: () -> [[UInt8]]
    ) throws(MalformedRecord) -> Int128? {
        guard value.isEmpty || bytes[value.lowerBound] == ValueTag.null.rawValue else {
            return try integer(bytes, value)
        }
        let defaults = defaults()
        guard column < UInt64(defaults.count) else { return 0 }
        let fallback = defaults[Int(column)]
        if fallback.first == ValueTag.null.rawValue { return 0 }
        return try integer(fallback.span, 0..<fallback.count)
    }

    private static func integer(
        _ bytes: Span<UInt8>, _ value: Range<Int>
    ) throws(MalformedRecord) -> Int128? {
        var reader = ByteReader(value)
        switch ValueTag(rawValue: try reader.byte(bytes)) {
        case .integer: return Int128(unzigzag(try reader.varint(bytes)))
        case .amount, .wide: return try reader.wideInteger(bytes)
        case .real:
            // The column holds reals by now, and its default or its row is one, but it took amounts before.
            let bits = bytes.integer(UInt64.self, at: try reader.take(8).lowerBound)
            return Int128(exactly: Double(bitPattern: bits))
        case .null, .text, .blob, nil: return nil
        }
    }

    /// Whether a row has a sum that does not fit into 64 bits.
    package static func holdsWideInteger(_ row: Span<UInt8>) -> Bool {
        var reader = ByteReader(0..<row.count)
        do throws(MalformedRecord) {
            for _ in 0..<(try reader.valueCount(row)) {
                if reader.offset < row.count, row[reader.offset] == ValueTag.wide.rawValue {
                    return true
                }
                try reader.skipValue(row)
            }
        } catch {
            // Whoever reads the row reports that.
        }
        return false
    }

    /// Appends the sum of an integer and an amount.
    private static func append(
        sum before: Int128, _ bytes: Span<UInt8>, _ amount: Range<Int>, isAmount: Bool = false,
        to output: inout [UInt8]
    ) throws(MalformedRecord) {
        let (sum, overflow) = before.addingReportingOverflow(
            try integer(bytes, amount) ?? 0)
        guard !overflow else {
            throw MalformedRecord(
                offset: amount.lowerBound, reason: "a sum exceeds 128 bits")
        }
        if isAmount {
            output.append(ValueTag.amount.rawValue)
            output.append(wideInteger: sum)
        } else if let value = Int64(exactly: sum) {
            output.append(rowInteger: value)
        } else {
            output.append(ValueTag.wide.rawValue)
            output.append(wideInteger: sum)
        }
    }
}

/// Walks the columns of a patch.
private struct PatchReader {
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
