// The beginning and the end of a log, in two small files beside it.
//
//   log-start   everything through a sequence may be deleted: retention deletes segments up to there. It is written
//               before the first of them is deleted, so a log that begins later than this file says has lost something.
//   clean-end   the store was closed, and the log ended with a sequence. It is written before staging is removed, and
//               removed after the next writer's staging is in place. So clean-end or staging is always there.
//
//      0  u32  "WBL1" log-start, "WBE1" clean-end
//      4  u32  format version: major << 16 + minor
//      8  16   store UUID
//     24  u64  the sequence; 0 for none
//     32  u64  chain value after it
//     40  u64  clean-end: epoch of the writer that closed the store; log-start: 0
//     48  u64  zero
//     56  u64  XXH3-64, unseeded, of bytes [0,56)
//
// A second copy is at 4096, so that one bad sector does not destroy both.

/// The content of one of these files.
package struct LogEdge: Equatable, Sendable {
    package enum Kind: UInt32, Sendable {
        case start = 0x314C_4257  // "WBL1"
        case cleanEnd = 0x3145_4257  // "WBE1"
    }

    static let recordByteCount = 64
    static let copyOffset = 4096

    package var kind: Kind
    package var storeID: StoreID
    package var sequence: UInt64
    package var chain: UInt64
    package var epoch: UInt64

    package init(_ kind: Kind, of store: StoreID, at sequence: UInt64, chain: UInt64, epoch: UInt64)
    {
        self.kind = kind
        storeID = store
        self.sequence = sequence
        self.chain = chain
        self.epoch = epoch
    }

    /// Decodes a whole file: the first record, or its copy if the first is not good.
    package init(_ kind: Kind, decoding bytes: Span<UInt8>) throws(FormatFault) {
        do throws(FormatFault) {
            try self.init(kind, record: bytes)
        } catch let fault {
            guard bytes.count > Self.copyOffset,
                let copy = try? LogEdge(kind, record: bytes.extracting(Self.copyOffset...))
            else { throw fault }
            self = copy
        }
    }

    private init(_ kind: Kind, record bytes: Span<UInt8>) throws(FormatFault) {
        guard bytes.count >= Self.recordByteCount else {
            throw .truncated(byteCount: bytes.count)
        }
        let magic = bytes.integer(UInt32.self, at: 0)
        guard magic == kind.rawValue else { throw .unknownMagic(magic) }
        try SegmentHeader.check(version: bytes.integer(UInt32.self, at: 4))
        guard Checksum.of(bytes.extracting(0..<56), seed: 0) == bytes.integer(UInt64.self, at: 56)
        else { throw .checksumMismatch }
        self.kind = kind
        storeID = StoreID(bytes.extracting(8..<24))
        sequence = bytes.integer(UInt64.self, at: 24)
        chain = bytes.integer(UInt64.self, at: 32)
        epoch = bytes.integer(UInt64.self, at: 40)
        guard sequence <= Frame.sequenceLimit else { throw .outOfRange(field: "sequence") }
        guard epoch < .max else { throw .outOfRange(field: "epoch") }
    }

    package func encoded() -> [UInt8] {
        var record: [UInt8] = []
        record.append(integer: kind.rawValue)
        record.append(integer: SegmentHeader.version)
        record.append(integer: storeID.low)
        record.append(integer: storeID.high)
        for field in [sequence, chain, epoch, 0] { record.append(integer: field) }
        record.append(integer: Checksum.of(record.span, seed: 0))
        let gap = [UInt8](repeating: 0, count: Self.copyOffset - record.count)
        return record + gap + record
    }
}

extension LogEdge {
    /// The bytes on disk.
    package enum Found: Equatable, Sendable {
        case absent
        case edge(LogEdge)
        /// The file is there, but neither copy can be used.
        case unusable(FormatFault)
    }

    private static func path(_ kind: Kind, _ layout: StoreLayout) -> String {
        switch kind {
        case .start: layout.logStart
        case .cleanEnd: layout.cleanEnd
        }
    }

    package static func read(
        _ kind: Kind, _ environment: LogEnvironment
    ) throws(LogError) -> Found {
        let path = path(kind, environment.layout)
        let bytes = try onDisk { () throws(SystemError) -> [UInt8]? in
            guard try environment.disk.exists(path) else { return nil }
            return try environment.disk.open(path, .read).bytes(copyOffset + recordByteCount)
        }
        guard let bytes else { return .absent }
        do throws(FormatFault) {
            let edge = try LogEdge(kind, decoding: bytes.span)
            guard edge.storeID == environment.storeID else {
                return .unusable(.outOfRange(field: "store UUID"))
            }
            return .edge(edge)
        } catch {
            if error.isNewer { throw .unsupported(path: path, error) }
            return .unusable(error)
        }
    }

    /// Writes the file; it survives power loss once this returns.
    package func write(_ environment: LogEnvironment) throws(LogError) {
        try replace(environment)
        try onDisk { () throws(SystemError) in
            try environment.disk.synchronizeDirectory(environment.layout.root)
        }
    }

    /// Writes the file. Its name survives power loss once the root has been synced.
    func replace(_ environment: LogEnvironment) throws(LogError) {
        try onDisk { () throws(SystemError) in
            try environment.disk.replace(Self.path(kind, environment.layout), with: encoded())
        }
    }

    /// Removes the file for good, if it is there.
    static func remove(_ kind: Kind, _ environment: LogEnvironment) throws(LogError) {
        try onDisk { () throws(SystemError) in
            let path = path(kind, environment.layout)
            guard try environment.disk.exists(path) else { return }
            try environment.disk.remove(path)
            try environment.disk.synchronizeDirectory(environment.layout.root)
        }
    }
}
