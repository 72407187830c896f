import Glibc

// A node of an index's tree is one block of its arena:
//
//      0        1        2        4        8          12
//      +--------+--------+--------+--------+----------+--------+-----------------+------------------+
//      | kind   | unused | count  | next   | previous | unused | prefixes        | entries          |
//      | u8     | u8     | u16    | u32    | u32      | u32    | u64{68}         | u32{68}          |
//      +--------+--------+--------+--------+----------+--------+-----------------+------------------+
//
// and of an inner node, behind that:
//
//      832               1104
//      +-----------------+-----------------+
//      | children        | sizes           |
//      | u32{68}         | u32{68}         |
//      +-----------------+-----------------+
//
// A leaf refers to entries in their order. An inner node refers to its children, and has the number of entries below each
// and the first entry of each. A prefix is the first eight bytes of an entry; with it, most comparisons stay inside the
// node. `next` and `previous` are a leaf's neighbours, 0 for none.

/// The fields of one node. It must not outlive the node's block.
@safe struct OrderNode {
    /// The most children or entries of a node. With 68, both kinds of node fill their blocks (SizeClass.swift).
    static let capacity = 68
    static let leafBytes = prefixOffset + capacity * 12
    static let innerBytes = leafBytes + capacity * 8
    private static let prefixOffset = 16
    private static let entryOffset = prefixOffset + capacity * 8
    private static let childOffset = entryOffset + capacity * 4
    private static let sizeOffset = childOffset + capacity * 4

    private let address: UnsafeMutableRawPointer

    @inline(__always)
    @unsafe init(at address: UnsafeMutableRawPointer) {
        unsafe self.address = address
    }

    /// Turns a new block into an empty node.
    func initialize(isLeaf: Bool) {
        // The arena's owner keeps the first byte from being zero.
        unsafe address.storeBytes(of: isLeaf ? 1 : 2, as: UInt64.self)
        unsafe address.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
    }

    @inline(__always)
    var isLeaf: Bool { unsafe address.load(as: UInt8.self) == 1 }

    @inline(__always)
    var count: Int {
        get { unsafe Int(address.load(fromByteOffset: 2, as: UInt16.self)) }
        nonmutating set {
            unsafe address.storeBytes(of: UInt16(newValue), toByteOffset: 2, as: UInt16.self)
        }
    }

    var next: UInt32 {
        get { unsafe address.load(fromByteOffset: 4, as: UInt32.self) }
        nonmutating set {
            unsafe address.storeBytes(of: newValue, toByteOffset: 4, as: UInt32.self)
        }
    }

    var previous: UInt32 {
        get { unsafe address.load(fromByteOffset: 8, as: UInt32.self) }
        nonmutating set {
            unsafe address.storeBytes(of: newValue, toByteOffset: 8, as: UInt32.self)
        }
    }

    @inline(__always)
    func prefix(_ index: Int) -> UInt64 {
        unsafe address.load(fromByteOffset: Self.prefixOffset + index * 8, as: UInt64.self)
    }

    @inline(__always)
    func entry(_ index: Int) -> UInt32 {
        unsafe address.load(fromByteOffset: Self.entryOffset + index * 4, as: UInt32.self)
    }

    @inline(__always)
    func child(_ index: Int) -> UInt32 {
        unsafe address.load(fromByteOffset: Self.childOffset + index * 4, as: UInt32.self)
    }

    @inline(__always)
    func size(_ index: Int) -> Int {
        unsafe Int(address.load(fromByteOffset: Self.sizeOffset + index * 4, as: UInt32.self))
    }

    @inline(__always)
    func setEntry(_ index: Int, _ entry: OrderedEntry) {
        unsafe address.storeBytes(
            of: entry.prefix, toByteOffset: Self.prefixOffset + index * 8, as: UInt64.self)
        unsafe address.storeBytes(
            of: entry.reference, toByteOffset: Self.entryOffset + index * 4, as: UInt32.self)
    }

    @inline(__always)
    func setSize(_ index: Int, _ size: Int) {
        unsafe address.storeBytes(
            of: UInt32(size), toByteOffset: Self.sizeOffset + index * 4, as: UInt32.self)
    }

    func first() -> OrderedEntry { OrderedEntry(reference: entry(0), prefix: prefix(0)) }

    /// How many entries are below it.
    func sum() -> Int {
        if isLeaf { return count }
        var sum = 0
        for index in 0..<count { sum += size(index) }
        return sum
    }

    /// Inserts an entry into a leaf that has room.
    @inline(__always)
    func insert(_ entry: OrderedEntry, at index: Int) {
        shift(from: index, by: 1)
        setEntry(index, entry)
        count += 1
    }

    /// Inserts a child into an inner node that has room.
    func insert(child: OrderChild, at index: Int) {
        insert(child.first, at: index)
        unsafe address.storeBytes(
            of: child.reference, toByteOffset: Self.childOffset + index * 4, as: UInt32.self)
        setSize(index, child.size)
    }

    func remove(at index: Int) {
        shift(from: index + 1, by: -1)
        count -= 1
    }

    /// Moves everything from `index` on to the end of another node of the same kind.
    func move(from index: Int, to other: OrderNode) {
        let (start, moved) = (other.count, count - index)
        func move(_ offset: Int, _ width: Int) {
            unsafe (other.address + offset + start * width).copyMemory(
                from: address + offset + index * width, byteCount: moved * width)
        }
        move(Self.prefixOffset, 8)
        move(Self.entryOffset, 4)
        if !isLeaf {
            move(Self.childOffset, 4)
            move(Self.sizeOffset, 4)
        }
        other.count = start + moved
        count = index
    }

    @inline(__always)
    private func shift(from index: Int, by step: Int) {
        let moved = count - index
        func shift(_ offset: Int, _ width: Int) {
            let source = unsafe address + offset + index * width
            unsafe memmove(source + step * width, source, moved * width)
        }
        guard moved > 0 else { return }
        shift(Self.prefixOffset, 8)
        shift(Self.entryOffset, 4)
        if !isLeaf {
            shift(Self.childOffset, 4)
            shift(Self.sizeOffset, 4)
        }
    }
}

/// An entry as nodes refer to it.
struct OrderedEntry {
    var reference: UInt32
    var prefix: UInt64
}

/// A node as its parent refers to it.
struct OrderChild {
    var reference: UInt32
    var first: OrderedEntry
    var size: Int
}
