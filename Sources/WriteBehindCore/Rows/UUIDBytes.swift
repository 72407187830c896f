import EventLog
import Foundation

// A UUID is stored as its 16 bytes, as in GRDB.

extension [UInt8] {
    mutating func append(rowUUID value: UUID) {
        append(ValueTag.blob.rawValue)
        append(varint: 16)
        append(uuid: value)
    }

    mutating func append(keyUUID value: UUID, isLast: Bool) {
        let start = count
        append(uuid: value)
        if !isLast { endKeyBytes(from: start) }
    }

    private mutating func append(uuid value: UUID) {
        unsafe Swift.withUnsafeBytes(of: value.uuid) { unsafe append(contentsOf: $0) }
    }
}

extension UUID {
    /// Nil unless there are 16 bytes.
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 16 else { return nil }
        // Any 16 bytes make a UUID, and the load checks its bounds.
        self.init(uuid: unsafe bytes.bytes.unsafeLoadUnaligned(as: uuid_t.self))
    }
}
