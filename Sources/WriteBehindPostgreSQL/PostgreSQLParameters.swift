/// The parameters of a statement, in the server's binary form.
struct PostgreSQLParameters {
    private(set) var bytes: [UInt8] = []
    /// The place of each in ``bytes``; nil for a null.
    private(set) var places: [Range<Int>?] = []

    init() {}

    mutating func append(_ value: Int64) {
        add { $0.append(bigEndian: value) }
    }

    mutating func append(_ value: Bool) { add { $0.append(value ? 1 : 0) } }

    mutating func append(_ text: String) { add { $0.append(contentsOf: text.utf8) } }

    mutating func append(_ value: [UInt8]?) {
        guard let value else { return places.append(nil) }
        add { $0.append(contentsOf: value) }
    }

    mutating func append(_ column: ArrayColumn) { add { column.write(to: &$0) } }

    private mutating func add(_ body: (inout [UInt8]) -> Void) {
        let start = bytes.count
        body(&bytes)
        places.append(start..<bytes.count)
    }
}

/// One column of many rows, as an array of the server.
struct ArrayColumn {
    /// The number that the server has for the type of the elements.
    private let element: UInt32
    private(set) var count: Int32 = 0
    private var hasNull = false
    private var elements: [UInt8] = []

    init(_ element: UInt32) { self.element = element }

    var byteCount: Int { elements.count }

    mutating func removeAll() {
        count = 0
        hasNull = false
        elements.removeAll(keepingCapacity: true)
    }

    mutating func appendNull() {
        count += 1
        hasNull = true
        elements.append(bigEndian: -1 as Int32)
    }

    mutating func append(_ value: Int64) {
        count += 1
        elements.append(bigEndian: 8 as Int32)
        elements.append(bigEndian: value)
    }

    mutating func append(_ value: Bool) {
        count += 1
        elements.append(bigEndian: 1 as Int32)
        elements.append(value ? 1 : 0)
    }

    mutating func append(_ bytes: some Collection<UInt8>, after prefix: UInt8? = nil) {
        count += 1
        elements.append(bigEndian: Int32(bytes.count + (prefix == nil ? 0 : 1)))
        if let prefix { elements.append(prefix) }
        elements.append(contentsOf: bytes)
    }

    mutating func append(_ bytes: Span<UInt8>, after prefix: UInt8? = nil) {
        count += 1
        elements.append(bigEndian: Int32(bytes.count + (prefix == nil ? 0 : 1)))
        if let prefix { elements.append(prefix) }
        unsafe bytes.withUnsafeBufferPointer { unsafe elements.append(contentsOf: $0) }
    }

    /// The one element of a column that has one, by itself; nil for a null.
    var single: [UInt8]? { hasNull ? nil : Array(elements.dropFirst(4)) }

    /// Dimensions, whether there are nulls, the type, the length, the first index, the elements.
    func write(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: (count == 0 ? 0 : 1) as Int32)
        bytes.append(bigEndian: (hasNull ? 1 : 0) as Int32)
        bytes.append(bigEndian: element)
        guard count > 0 else { return }
        bytes.append(bigEndian: count)
        bytes.append(bigEndian: 1 as Int32)
        bytes.append(contentsOf: elements)
    }
}

extension [UInt8] {
    /// Appends an integer, most significant byte first.
    mutating func append<T: FixedWidthInteger>(bigEndian value: T) {
        unsafe Swift.withUnsafeBytes(of: value.bigEndian) { unsafe append(contentsOf: $0) }
    }

    /// The integer that these bytes are, most significant first; nil for another number of bytes.
    func bigEndian<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        guard count == MemoryLayout<T>.size else { return nil }
        return reduce(0) { $0 << 8 | T(truncatingIfNeeded: $1) }
    }
}
