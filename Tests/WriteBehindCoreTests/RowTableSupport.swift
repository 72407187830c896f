import EventLog

/// Bodies made of encoded values, without a codec.
enum Bodies {
    static let null: [UInt8] = [ValueTag.null.rawValue]

    static func integer(_ value: Int64) -> [UInt8] {
        var bytes = [ValueTag.integer.rawValue]
        bytes.append(varint: zigzag(value))
        return bytes
    }

    static func amount(_ value: Int128) -> [UInt8] {
        var bytes = [ValueTag.amount.rawValue]
        bytes.append(wideInteger: value)
        return bytes
    }

    static func wide(_ value: Int128) -> [UInt8] {
        var bytes = [ValueTag.wide.rawValue]
        bytes.append(wideInteger: value)
        return bytes
    }

    static func blob(_ count: Int, _ byte: UInt8 = 7) -> [UInt8] {
        var bytes = [ValueTag.blob.rawValue]
        bytes.append(varint: UInt64(count))
        return bytes + [UInt8](repeating: byte, count: count)
    }

    static func row(_ values: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: UInt64(values.count))
        return bytes + values.joined()
    }

    static func patch(_ values: [Int: [UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: UInt64(values.count))
        for column in values.keys.sorted() {
            bytes.append(varint: UInt64(column))
            bytes += values[column] ?? []
        }
        return bytes
    }
}
