/// The directories of a simulated disk: their names now, and which of them would survive.
struct SimulatedNames: Sendable {
    typealias Tree = [Int: [String: Int]]

    /// One name in one directory gets another node, or is removed.
    struct Step: Sendable {
        let directory: Int
        let name: String
        let node: Int?

        init(_ directory: Int, _ name: String, _ node: Int?) {
            self.directory = directory
            self.name = name
            self.node = node
        }
    }

    /// Steps that happen together or not at all.
    private struct Change: Sendable {
        let steps: [Step]
        var isSynced: Bool
    }

    /// The names as the process sees them.
    private(set) var current: Tree = [SimulatedDisk.State.root: [:]]
    /// The names that are durable, without synced changes that still wait behind an unsynced one.
    private var durable: Tree = [SimulatedDisk.State.root: [:]]
    /// The changes to `durable` since, in order.
    private var changes: [Change] = []

    func isDirectory(_ node: Int) -> Bool { current[node] != nil }

    mutating func makeDirectory(_ node: Int) {
        current[node] = [:]
        durable[node] = [:]
    }

    mutating func change(_ steps: [Step], isSynced: Bool = false) {
        current.apply(steps)
        changes.append(Change(steps: steps, isSynced: isSynced))
        fold()
    }

    /// Makes the changes to names in this directory durable. A renaming between two directories
    /// is one entry in a file system's journal, so a sync of either makes both sides durable.
    mutating func synchronize(_ directory: Int) {
        for index in changes.indices
        where changes[index].steps.contains(where: { $0.directory == directory }) {
            changes[index].isSynced = true
        }
        fold()
    }

    mutating func losePower<R: RandomNumberGenerator>(using random: inout R) {
        let style = UInt8.random(in: 0..<8, using: &random)
        let prefix = Int.random(in: 0...changes.count, using: &random)
        for (index, change) in changes.enumerated() {
            let survives =
                switch style {
                case 0: false
                case 1: true
                case 2, 3: index < prefix
                default: Bool.random(using: &random)
                }
            if survives || change.isSynced { durable.apply(change.steps) }
        }
        changes = []
        let reachable = reachable(in: durable, from: SimulatedDisk.State.root)
        durable = durable.filter { reachable.contains($0.key) }
        current = durable
    }

    /// The nodes that have a name now, and `node` itself.
    func reachable(from node: Int) -> Set<Int> {
        reachable(in: current, from: node)
    }

    private func reachable(in tree: Tree, from node: Int) -> Set<Int> {
        var found: Set<Int> = [node]
        for child in tree[node, default: [:]].values {
            found.formUnion(reachable(in: tree, from: child))
        }
        return found
    }

    /// Applies the synced changes up to the first unsynced one. The others wait, because the order
    /// of changes to one name decides what it means in the end.
    private mutating func fold() {
        let count = changes.firstIndex { !$0.isSynced } ?? changes.count
        for change in changes.prefix(count) { durable.apply(change.steps) }
        changes.removeFirst(count)
    }
}

extension SimulatedNames.Tree {
    /// There are no hard links: a node that gets a name loses its earlier one, which it still has if
    /// an earlier renaming was lost.
    fileprivate mutating func apply(_ steps: [SimulatedNames.Step]) {
        for step in steps {
            if let node = step.node {
                for directory in keys {
                    for (name, other) in self[directory, default: [:]] where other == node {
                        self[directory]?[name] = nil
                    }
                }
            }
            self[step.directory]?[step.name] = step.node
        }
    }
}
