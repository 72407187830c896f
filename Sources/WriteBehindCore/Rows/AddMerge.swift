package import EventLog

// Merges adds, which have amounts in the place of values: see Record.swift.

extension RowMerge {
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
                let before = try number(row, start..<reader.offset, changes.column, defaults)
                guard let before else { throw noNumber(at: start) }
                try append(sum: before, amounts, changes.value, to: &output)
            } else {
                append(amounts, changes.value, to: &output)
            }
            try changes.advance(amounts)
        }
    }

    /// How much some adds add to each column of rows that are there.
    package static func sums(ofAdds adds: [[UInt8]]) throws(MalformedRecord) -> [Int: Int128] {
        var sums: [Int: Int128] = [:]
        for add in adds {
            let amounts = add.span.extracting(try parts(add.span).there)
            var changes = PatchReader(amounts)
            while true {
                try changes.advance(amounts)
                if changes.column == PatchReader.end { break }
                guard isAmount(amounts, changes.value) else { continue }
                var reader = ByteReader(changes.value.dropFirst())
                sums[Int(changes.column), default: 0] += try reader.wideInteger(amounts)
            }
        }
        return sums
    }

    @inline(__always)
    static func isAmount(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Bool {
        bytes[value.lowerBound] == ValueTag.amount.rawValue
    }

    enum Number {
        case integer(Int128)
        /// The column holds reals by now, but held integers when the amount was logged.
        case real(Double)
    }

    static func noNumber(at offset: Int) -> MalformedRecord {
        MalformedRecord(offset: offset, reason: "an amount is added to what is no number")
    }

    /// A value as a number; nil if it is none: somebody has changed the database by hand. In the fold of the log that is no
    /// error. Amounts for such a value count for nothing there, and the database, which has the value, refuses them.
    static func number(
        _ bytes: Span<UInt8>, _ value: Range<Int>, _ column: UInt64, _ defaults: () -> [[UInt8]]
    ) throws(MalformedRecord) -> Number? {
        guard value.isEmpty || bytes[value.lowerBound] == ValueTag.null.rawValue else {
            return try number(bytes, value)
        }
        let defaults = defaults()
        guard column < UInt64(defaults.count) else { return .integer(0) }
        let fallback = defaults[Int(column)]
        if fallback.first == ValueTag.null.rawValue { return .integer(0) }
        return try number(fallback.span, 0..<fallback.count)
    }

    private static func number(
        _ bytes: Span<UInt8>, _ value: Range<Int>
    ) throws(MalformedRecord) -> Number? {
        var reader = ByteReader(value)
        switch ValueTag(rawValue: try reader.byte(bytes)) {
        case .integer: return .integer(Int128(unzigzag(try reader.varint(bytes))))
        case .amount, .wide: return .integer(try reader.wideInteger(bytes))
        case .real:
            let bits = bytes.integer(UInt64.self, at: try reader.take(8).lowerBound)
            return .real(Double(bitPattern: bits))
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
            // The same error is thrown when the row is read.
        }
        return false
    }

    /// Appends the sum of a number and an amount.
    static func append(
        sum before: Number, _ bytes: Span<UInt8>, _ amount: Range<Int>, isAmount: Bool = false,
        to output: inout [UInt8]
    ) throws(MalformedRecord) {
        var reader = ByteReader(amount.lowerBound + 1..<amount.upperBound)
        let added = try reader.wideInteger(bytes)
        let integer: Int128
        switch before {
        case .integer(let before): integer = before
        case .real(let before): return output.append(rowReal: before + Double(added))
        }
        let (sum, overflow) = integer.addingReportingOverflow(added)
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
