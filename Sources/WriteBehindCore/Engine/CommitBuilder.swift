import EventLog

/// The records of one commit, encoded one behind the other, and the facts about them that the view needs.
package struct CommitBuilder: Sendable {
    struct Change: Sendable {
        var kind: ChangeKind
        var table: UInt16
        var key: Range<Int>
        var body: Range<Int>
        var deadline: UInt64?
    }

    /// The changes to the view, in order.
    enum Step: Sendable {
        case change(Change)
        case clear(table: UInt16)
        /// A define, mark or settle record: takes a sequence, changes no row.
        case other
    }

    /// The most that a record takes beyond its key and body.
    package static let recordOverhead = 16

    private(set) var bytes: [UInt8] = []
    private(set) var steps: [Step] = []
    private(set) var flags: LogFlags = []
    /// The table of the first record.
    private var table: UInt16 = 0

    package init() {}

    init(define definition: TableDefinition) {
        bytes = Catalog.defineRecord(definition)
        steps = [.other]
        flags = .define
    }

    var count: UInt32 { UInt32(steps.count) }
    package var isEmpty: Bool { steps.isEmpty }
    var byteCount: Int { bytes.count }

    /// - Parameter before: of a patch, the row that it changes, for readers of the log.
    package mutating func append(
        _ kind: ChangeKind, table: UInt16, key: Span<UInt8>, body: Span<UInt8>,
        before: [UInt8]? = nil, deadline: UInt64? = nil
    ) {
        assert(before == nil || kind == .patch)
        note(table)
        bytes.append(kind.operation.rawValue | (before == nil ? 0 : Record.beforeFlag))
        bytes.append(varint: UInt64(table))
        bytes.append(varint: UInt64(key.count))
        let keyStart = bytes.count
        unsafe key.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
        let bodyStart = bytes.count
        unsafe body.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
        steps.append(
            .change(
                Change(
                    kind: kind, table: table, key: keyStart..<bodyStart,
                    body: bodyStart..<bytes.count, deadline: deadline)))
        if let before { bytes += before }
    }

    package mutating func appendClear(table: UInt16) {
        note(table)
        bytes.append(Operation.clear.rawValue)
        bytes.append(varint: UInt64(table))
        bytes.append(0)
        steps.append(.clear(table: table))
    }

    /// A named point in the log.
    package mutating func appendMark(_ name: String) {
        note(0)
        bytes.append(contentsOf: [Operation.mark.rawValue, 0, 0])
        appendText(name)
        steps.append(.other)
        flags.insert(.mark)
    }

    /// Gives up the quarantined commits of a group; the changes after it set their rows.
    ///
    /// - Parameter left: how many rows of the group are left for later commits.
    mutating func appendSettle(
        from first: UInt64, through last: UInt64, left: Int, reason: String
    ) {
        note(0)
        bytes.append(contentsOf: [Operation.settle.rawValue, 0, 0])
        bytes.append(varint: first)
        bytes.append(varint: last)
        bytes.append(varint: UInt64(left))
        appendText(reason)
        steps.append(.other)
        flags.insert(.mark)
    }

    /// The flusher names the tables of a block in its header.
    private mutating func note(_ table: UInt16) {
        if steps.isEmpty { self.table = table }
        if table != self.table { flags.insert(.severalTables) }
    }

    /// Appends the changes of another builder, which must hold nothing but changes.
    mutating func append(_ changes: CommitBuilder) {
        let offset = bytes.count
        bytes += changes.bytes
        for case .change(var change) in changes.steps {
            note(change.table)
            change.key = change.key.lowerBound + offset..<change.key.upperBound + offset
            change.body = change.body.lowerBound + offset..<change.body.upperBound + offset
            steps.append(.change(change))
        }
    }

    private mutating func appendText(_ text: String) {
        bytes.append(varint: UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes a single record at the start of `buffer`, which must have room for it. Returns its bytes.
    @inline(__always)
    @unsafe static func write(
        _ operation: Operation, table: UInt32, key: Span<UInt8>, body: Span<UInt8>,
        to buffer: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        unsafe buffer.storeBytes(of: operation.rawValue, as: UInt8.self)
        var offset = 1
        unsafe put(varint: UInt64(table), into: buffer, at: &offset)
        unsafe put(varint: UInt64(key.count), into: buffer, at: &offset)
        unsafe copy(key, into: buffer, at: &offset)
        unsafe copy(body, into: buffer, at: &offset)
        return unsafe UnsafeRawBufferPointer(rebasing: buffer[..<offset])
    }

    @inline(__always)
    @unsafe private static func put(
        varint value: UInt64, into buffer: UnsafeMutableRawBufferPointer, at offset: inout Int
    ) {
        forEachByte(ofVarint: value) {
            unsafe buffer[offset] = $0
            offset += 1
        }
    }

    @inline(__always)
    @unsafe private static func copy(
        _ bytes: Span<UInt8>, into buffer: UnsafeMutableRawBufferPointer, at offset: inout Int
    ) {
        let start = offset
        unsafe bytes.withUnsafeBytes { source in
            guard let from = source.baseAddress, let base = buffer.baseAddress else { return }
            unsafe (base + start).copyMemory(from: from, byteCount: source.count)
        }
        offset += bytes.count
    }
}
