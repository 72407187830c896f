/// The entries of an index in their order: a B+ tree that counts the entries below each node.
///
/// It holds no bytes of entries, and its nodes are blocks of an arena that its owner gives to every method. Finding,
/// inserting, removing, the rank of an entry and the entry of a rank take a walk from the root to a leaf.
///
/// If a removal leaves a node less than a quarter full, it is merged with a neighbour, if both fit into three quarters of
/// one node. So two neighbours are hardly ever both nearly empty, and a merged node is not split again at once.
struct OrderTree: ~Copyable, Sendable {
    /// A node on the way from the root, and the child through which the way goes on.
    private struct Step {
        var node: UInt32
        var index: Int
    }

    /// Where an entry is.
    struct Place {
        var leaf: UInt32
        var index: Int
    }

    private var root: UInt32
    private(set) var count = 0
    /// How many inner nodes there are between the root and a leaf, the root included.
    private var height = 0
    /// The way that was walked last. It is kept here so that a walk allocates nothing. Nodes have 17 entries or more on
    /// average, so 32-bit references do not reach farther than 16 levels.
    private var path = InlineArray<16, Step>(repeating: Step(node: 0, index: 0))

    /// How many pages the new nodes of one insertion may take: one for a leaf, and one for inner nodes, of which a page holds
    /// more than there are levels.
    static let pagesOfAnInsertion = 2

    init(in arena: inout Arena) {
        root = Self.makeNode(isLeaf: true, in: &arena)
    }

    private static func makeNode(isLeaf: Bool, in arena: inout Arena) -> UInt32 {
        let reference = arena.allocate(isLeaf ? OrderNode.leafBytes : OrderNode.innerBytes)
        // The owner has made room before it inserts (OrderedEntries.swift).
        precondition(reference != 0, "the index's address space is used up")
        node(reference, arena).initialize(isLeaf: isLeaf)
        return reference
    }

    @inline(__always)
    private static func node(_ reference: UInt32, _ arena: borrowing Arena) -> OrderNode {
        unsafe OrderNode(at: arena.address(reference))
    }

    // MARK: Finding

    /// How many of a node's entries are before a probe.
    @inline(__always)
    private func entries(
        before probe: OrderProbe, in node: OrderNode, _ arena: borrowing Arena
    ) -> Int {
        var (low, high) = (0, node.count)
        while low < high {
            let middle = (low + high) / 2
            let entry = node.entry(middle)
            if probe.isBehind(
                node.prefix(middle), unsafe IndexEntry(at: arena.address(entry)))
            {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// How many entries are before a probe.
    func rank(of probe: OrderProbe, _ arena: borrowing Arena) -> Int {
        var node = Self.node(root, arena)
        var rank = 0
        for _ in 0..<height {
            let index = max(0, entries(before: probe, in: node, arena) - 1)
            for other in 0..<index { rank += node.size(other) }
            node = Self.node(node.child(index), arena)
        }
        return rank + entries(before: probe, in: node, arena)
    }

    /// The place of the entry with this rank.
    private func place(ofRank rank: Int, _ arena: borrowing Arena) -> Place {
        var reference = root
        var left = rank
        for _ in 0..<height {
            let node = Self.node(reference, arena)
            var index = 0
            while left >= node.size(index) {
                left -= node.size(index)
                index += 1
            }
            reference = node.child(index)
        }
        return Place(leaf: reference, index: left)
    }

    /// Calls `body` for the entries of some ranks, which must exist, from the lowest or from the highest on.
    func forEach(
        _ ranks: Range<Int>, isDescending: Bool, _ arena: borrowing Arena,
        _ body: (IndexEntry) -> Void
    ) {
        guard !ranks.isEmpty else { return }
        var place = place(
            ofRank: isDescending ? ranks.upperBound - 1 : ranks.lowerBound, arena)
        var node = Self.node(place.leaf, arena)
        for number in 0..<ranks.count {
            unsafe body(IndexEntry(at: arena.address(node.entry(place.index))))
            if number == ranks.count - 1 { return }
            if isDescending {
                if place.index == 0 {
                    place.leaf = node.previous
                    node = Self.node(place.leaf, arena)
                    place.index = node.count
                }
                place.index -= 1
            } else {
                place.index += 1
                if place.index == node.count {
                    place = Place(leaf: node.next, index: 0)
                    node = Self.node(place.leaf, arena)
                }
            }
        }
    }

    // MARK: Changing

    /// Goes to the leaf of a probe and records the way. Returns the leaf, and how many of its entries are before the probe.
    @inline(__always)
    private mutating func descend(
        to probe: OrderProbe, _ arena: borrowing Arena
    ) -> (leaf: UInt32, index: Int) {
        var reference = root
        for depth in 0..<height {
            let node = Self.node(reference, arena)
            let index = max(0, entries(before: probe, in: node, arena) - 1)
            path[depth] = Step(node: reference, index: index)
            reference = node.child(index)
        }
        return (reference, entries(before: probe, in: Self.node(reference, arena), arena))
    }

    /// Inserts an entry that is not in the tree.
    mutating func insert(_ reference: UInt32, in arena: inout Arena) {
        let probe = unsafe OrderProbe(
            IndexEntry(at: arena.address(reference)).bytes, .beforeAll)
        let entry = OrderedEntry(reference: reference, prefix: probe.prefix)
        let (leaf, index) = descend(to: probe, arena)
        var isFirst = index == 0
        var right = insert(entry, into: leaf, at: index, in: &arena)
        var left = leaf
        for depth in (0..<height).reversed() {
            let step = path[depth]
            let node = Self.node(step.node, arena)
            if isFirst { node.setEntry(step.index, entry) }
            isFirst = isFirst && step.index == 0
            if let child = right {
                node.setSize(step.index, Self.node(left, arena).sum())
                right = insert(child, into: step.node, at: step.index + 1, in: &arena)
            } else {
                node.setSize(step.index, node.size(step.index) + 1)
            }
            left = step.node
        }
        if let right { growRoot(beside: right, in: &arena) }
        count += 1
    }

    /// Inserts an entry into a leaf. Returns the leaf that took its upper half if it was full.
    private func insert(
        _ entry: OrderedEntry, into leaf: UInt32, at index: Int, in arena: inout Arena
    ) -> OrderChild? {
        let node = Self.node(leaf, arena)
        guard node.count == OrderNode.capacity else {
            node.insert(entry, at: index)
            return nil
        }
        let reference = Self.makeNode(isLeaf: true, in: &arena)
        let right = Self.node(reference, arena)
        right.next = node.next
        right.previous = leaf
        if node.next != 0 { Self.node(node.next, arena).previous = reference }
        // Entries that come in ascending order, as times do, leave full leaves behind.
        let isAtEnd = index == OrderNode.capacity && node.next == 0
        node.next = reference
        let half = OrderNode.capacity / 2
        if !isAtEnd { node.move(from: half, to: right) }
        if isAtEnd || index > half {
            right.insert(entry, at: index - node.count)
        } else {
            node.insert(entry, at: index)
        }
        return OrderChild(reference: reference, first: right.first(), size: right.count)
    }

    /// Inserts a child into an inner node. Returns the node that took its upper half if it was full.
    private func insert(
        _ child: OrderChild, into inner: UInt32, at index: Int, in arena: inout Arena
    ) -> OrderChild? {
        let node = Self.node(inner, arena)
        guard node.count == OrderNode.capacity else {
            node.insert(child: child, at: index)
            return nil
        }
        let reference = Self.makeNode(isLeaf: false, in: &arena)
        let right = Self.node(reference, arena)
        let half = OrderNode.capacity / 2
        node.move(from: half, to: right)
        if index > half {
            right.insert(child: child, at: index - half)
        } else {
            node.insert(child: child, at: index)
        }
        return OrderChild(reference: reference, first: right.first(), size: right.sum())
    }

    private mutating func growRoot(beside right: OrderChild, in arena: inout Arena) {
        let left = Self.node(root, arena)
        let reference = Self.makeNode(isLeaf: false, in: &arena)
        let node = Self.node(reference, arena)
        node.insert(
            child: OrderChild(reference: root, first: left.first(), size: left.sum()), at: 0)
        node.insert(child: right, at: 1)
        root = reference
        height += 1
    }

    /// Removes an entry that is in the tree. Its block must still hold it.
    mutating func remove(_ reference: UInt32, in arena: inout Arena) {
        let probe = unsafe OrderProbe(
            IndexEntry(at: arena.address(reference)).bytes, .behindEqual)
        let (leaf, end) = descend(to: probe, arena)
        var node = Self.node(leaf, arena)
        precondition(end > 0 && node.entry(end - 1) == reference, "an entry is not in its order")
        node.remove(at: end - 1)
        var child = leaf
        for depth in (0..<height).reversed() {
            let step = path[depth]
            let parent = Self.node(step.node, arena)
            if node.count == 0 {
                drop(child, in: &arena)
                parent.remove(at: step.index)
            } else {
                parent.setSize(step.index, parent.size(step.index) - 1)
                parent.setEntry(step.index, node.first())
                if node.count < OrderNode.capacity / 4 { merge(step.index, of: parent, in: &arena) }
            }
            (node, child) = (parent, step.node)
        }
        while height > 0, Self.node(root, arena).count == 1 {
            let only = Self.node(root, arena).child(0)
            arena.free(root)
            root = only
            height -= 1
        }
        count -= 1
    }

    /// Merges a child with the neighbour behind or before it, if both fit.
    private func merge(_ index: Int, of parent: OrderNode, in arena: inout Arena) {
        for left in [index, index - 1] where left >= 0 && left + 1 < parent.count {
            let (node, other) = (parent.child(left), parent.child(left + 1))
            let (lower, upper) = (Self.node(node, arena), Self.node(other, arena))
            guard lower.count + upper.count <= OrderNode.capacity / 4 * 3 else { continue }
            upper.move(from: 0, to: lower)
            parent.setSize(left, parent.size(left) + parent.size(left + 1))
            drop(other, in: &arena)
            parent.remove(at: left + 1)
            return
        }
    }

    /// Frees a node to which its parent no longer refers.
    private func drop(_ reference: UInt32, in arena: inout Arena) {
        let node = Self.node(reference, arena)
        if node.isLeaf {
            if node.next != 0 { Self.node(node.next, arena).previous = node.previous }
            if node.previous != 0 { Self.node(node.previous, arena).next = node.next }
        }
        arena.free(reference)
    }
}

extension OrderTree {
    /// The first rule of the tree that is broken; nil if there is none.
    func fault(_ arena: borrowing Arena) -> String? {
        var (leaves, last): ([UInt32], IndexEntry?) = ([], nil)
        var fault: String?
        func check(_ reference: UInt32, _ level: Int) -> Int {
            let node = Self.node(reference, arena)
            if node.isLeaf != (level == 0) { fault = fault ?? "a leaf is not at the bottom" }
            if node.count == 0, reference != root { fault = fault ?? "a node is empty" }
            if level == 0 { leaves.append(reference) }
            var sum = level == 0 ? node.count : 0
            for index in 0..<node.count {
                let entry = unsafe IndexEntry(at: arena.address(node.entry(index)))
                if unsafe OrderProbe.prefix(of: entry.bytes) != node.prefix(index) {
                    fault = fault ?? "a prefix differs from its entry"
                }
                if level > 0 {
                    let child = Self.node(node.child(index), arena)
                    if child.entry(0) != node.entry(index) {
                        fault = fault ?? "the first entry of a child is wrong"
                    }
                    let size = check(node.child(index), level - 1)
                    if size != node.size(index) { fault = fault ?? "the size of a child is wrong" }
                    sum += size
                } else {
                    if let last,
                        unsafe !OrderProbe(entry.bytes, .beforeAll)
                            .isBehind(OrderProbe.prefix(of: last.bytes), last)
                    {
                        fault = fault ?? "entries are not in order"
                    }
                    last = entry
                }
            }
            return sum
        }
        if check(root, height) != count { fault = fault ?? "the count is wrong" }
        for (index, leaf) in leaves.enumerated() {
            let node = Self.node(leaf, arena)
            let (before, after) = (
                index > 0 ? leaves[index - 1] : 0,
                index + 1 < leaves.count ? leaves[index + 1] : 0
            )
            if node.previous != before || node.next != after {
                fault = fault ?? "the neighbours of a leaf are wrong"
            }
        }
        return fault
    }
}
