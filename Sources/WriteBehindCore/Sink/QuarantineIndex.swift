/// The content of quarantine: the commits that the database refused, and the rows that they hold.
///
/// Later commits that touch a held row follow into quarantine. They are not kept here, because one hot row may have any
/// number of them: a commit of the log is in quarantine exactly if it touches a held key and does not start
/// before that key's `since`. So memory and database need space for each held row, and none for the followers.
///
/// Commits that share a key, directly or through others, are one *group*. It is resolved as a whole: by a later commit that
/// does not depend on earlier values and writes all rows of the group (mostly a put of the one row), if the
/// database takes it. A group that is too large for one commit is given up by several. Each releases its own rows,
/// and gives up the changes that the commits in quarantine made to them.
package struct QuarantineIndex: Sendable, Equatable {
    /// A key whose changes wait.
    package struct Held: Sendable, Equatable {
        /// No commit that starts before this and touches the key is in quarantine.
        package var since: UInt64
        /// The last record of the last commit in quarantine that touches the key.
        package var last: UInt64
        package var group: UInt64

        package init(since: UInt64, last: UInt64, group: UInt64) {
            (self.since, self.last, self.group) = (since, last, group)
        }
    }

    /// Commits that leave quarantine only together, except by a retry.
    package struct Group: Sendable, Equatable {
        package var keys: Set<QuarantinedKey> = []
        package var refused: Set<UInt64> = []
        /// The commits that define a table. No later commit can replace a definition.
        package var definitions: Set<UInt64> = []
        /// How many commits were not tried, because they follow.
        package var followers = 0

        package var commitCount: Int { refused.count + followers }
    }

    /// The changes that must be stored: everything that has changed since they were last taken.
    package struct Changes: Sendable, Equatable {
        package var keys: Set<QuarantinedKey> = []
        package var refused: Set<UInt64> = []
        package var groups: Set<UInt64> = []
        /// The commits that were refused, in order.
        package var added: [QuarantinedCommit] = []

        package init() {}
    }

    package private(set) var held: [QuarantinedKey: Held] = [:]
    package private(set) var groups: [UInt64: Group] = [:]
    package private(set) var refused: [UInt64: QuarantinedCommit] = [:]
    /// No commit in quarantine starts before this sequence; 0 if quarantine is empty. The log must be kept from here on.
    package private(set) var lowest: UInt64 = 0
    /// No record behind this sequence is in quarantine.
    package private(set) var latest: UInt64 = 0
    /// How many keys of a table are held.
    private var counts: [UInt32: Int] = [:]
    /// How many keys were released since `lowest` was last computed.
    private var releases = 0
    /// How often a later commit has settled a group.
    private var settlements = 0
    private var changes = Changes()

    package init() {}

    package var isEmpty: Bool { held.isEmpty }
    /// How many commits are in quarantine, followers included.
    package var commitCount: Int { groups.values.reduce(0) { $0 + $1.commitCount } }
    /// The refused commits, in sequence order.
    package var all: [QuarantinedCommit] {
        refused.values.sorted { $0.firstSequence < $1.firstSequence }
    }

    package mutating func takeChanges() -> Changes {
        defer { changes = Changes() }
        return changes
    }

    // MARK: looking

    /// Whether the change that a commit makes to a key is in quarantine.
    package func contains(_ firstSequence: UInt64, _ key: QuarantinedKey) -> Bool {
        held[key].map { $0.since <= firstSequence } ?? false
    }

    /// The keys of a refused commit that are held for it. Its other keys were given up; a later commit may hold them.
    package func heldKeys(of commit: QuarantinedCommit) -> [QuarantinedKey] {
        commit.keys.filter { contains(commit.firstSequence, $0) }
    }

    /// The group of a refused commit.
    package func group(of commit: QuarantinedCommit) -> UInt64? {
        commit.keys.lazy.filter { contains(commit.firstSequence, $0) }.first
            .flatMap { held[$0]?.group }
    }

    /// Whether a commit that touches these keys is in quarantine.
    package func contains(_ firstSequence: UInt64, _ keys: [QuarantinedKey]) -> Bool {
        keys.contains { contains(firstSequence, $0) }
    }

    /// Whether a commit is in quarantine. A definition is in quarantine only if it was refused, because it is applied ahead
    /// of commits that wait.
    package func contains(_ firstSequence: UInt64, _ contents: CommitContents) -> Bool {
        contents.isDefinition
            ? refused[firstSequence] != nil : contains(firstSequence, contents.keys)
    }

    package func holdsAny(of table: UInt32) -> Bool { counts[table] != nil }

    /// Whether a change to this key must follow into quarantine.
    package func touches(_ key: QuarantinedKey) -> Bool {
        guard counts[key.table] != nil else { return false }
        if case .table = key { return true }
        return held[key] != nil || held[.table(key.table)] != nil
    }

    /// Throws if a change to `key` must not be applied before commits in quarantine.
    package func refuse(_ key: QuarantinedKey) throws(SinkError) {
        if touches(key) {
            throw SinkError(.constraint, "what is in quarantine comes first for a key")
        }
    }

    /// Throws where a batch must not be applied before what is in quarantine.
    package func refuse(_ batch: some SortedChanges) throws(SinkError) {
        guard !isEmpty else { return }
        for table in batch.cleared { try refuse(.table(table)) }
        func check(
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) {
            guard holdsAny(of: table) else { return }
            try refuse(.row(table: table, key: [UInt8](copying: key)))
        }
        try batch.forEach(check)
    }

    /// The groups that a commit that touches these keys would follow.
    package func groups(touching keys: [QuarantinedKey]) -> Set<UInt64> {
        var found: Set<UInt64> = []
        for key in keys where counts[key.table] != nil {
            if let group = held[key]?.group { found.insert(group) }
            // Commits that follow a clear belong to its group.
            if let group = held[.table(key.table)]?.group {
                found.insert(group)
            } else if case .table(let table) = key {
                for (other, holder) in held where other.table == table {
                    found.insert(holder.group)
                }
            }
        }
        return found
    }

    /// Whether a commit may be applied ahead of these groups: it replaces everything that they did to their
    /// rows, or it gives up its own rows, as one part of a large group.
    package func settles(_ contents: CommitContents, _ groups: Set<UInt64>) -> Bool {
        guard contents.isBlind else { return false }
        if isPart(contents) { return true }
        let limit = contents.cleared.isEmpty ? contents.keys.count : .max
        guard groups.allSatisfy({ self.groups[$0]?.keys.count ?? 0 <= limit }) else { return false }
        let keys = Set(contents.keys)
        return groups.allSatisfy { covers(contents, keys, $0) }
    }

    /// Commits that follow a clear in quarantine cannot be given up without it.
    private func isPart(_ contents: CommitContents) -> Bool {
        contents.isPartOfSettlement && contents.cleared.isEmpty
            && contents.keys.allSatisfy { held[.table($0.table)] == nil }
    }

    private func covers(
        _ contents: CommitContents, _ keys: Set<QuarantinedKey>, _ number: UInt64
    ) -> Bool {
        guard let group = groups[number] else { return true }
        guard group.definitions.isEmpty else { return false }
        guard !contents.cleared.isEmpty || group.keys.count <= keys.count else { return false }
        return group.keys.allSatisfy {
            keys.contains($0) || contents.cleared.contains($0.table)
        }
    }

    /// The first commit of a group that was refused.
    package func firstRefused(of group: UInt64) -> QuarantinedCommit? {
        groups[group]?.refused.min().flatMap { refused[$0] }
    }

    // MARK: changing

    /// Loads a stored entry.
    package mutating func load(_ key: QuarantinedKey, _ holder: Held) {
        held[key] = holder
        counts[key.table, default: 0] += 1
        groups[holder.group, default: Group()].keys.insert(key)
        lowest = lowest == 0 ? holder.since : min(lowest, holder.since)
        latest = max(latest, holder.last)
    }

    package mutating func load(_ commit: QuarantinedCommit, group: UInt64) {
        refused[commit.firstSequence] = commit
        groups[group, default: Group()].refused.insert(commit.firstSequence)
        if commit.isDefinition { groups[group]?.definitions.insert(commit.firstSequence) }
    }

    package mutating func load(group: UInt64, followers: Int) {
        groups[group, default: Group()].followers = followers
    }

    /// A commit was tried and refused. If a definition touches keys that are already held, it joins their group.
    package mutating func add(_ commit: QuarantinedCommit) {
        let number = commit.firstSequence
        let touched = groups(touching: commit.keys)
        refused[number] = commit
        changes.refused.insert(number)
        changes.added.append(commit)
        groups[number] = Group()
        groups[number]?.refused.insert(number)
        if commit.isDefinition { groups[number]?.definitions.insert(number) }
        for other in touched { merge(other, into: number) }
        hold(commit.keys, by: number, commit.recordCount, group: number)
    }

    /// A commit follows these groups. They are one group from now on.
    package mutating func follow(
        _ firstSequence: UInt64, count: Int, _ keys: [QuarantinedKey], _ following: Set<UInt64>
    ) {
        // The largest group takes in the others, so that no key changes its group often.
        let largest = following.max {
            (groups[$0]?.keys.count ?? 0, $1) < (groups[$1]?.keys.count ?? 0, $0)
        }
        guard let number = largest else { return }
        for other in following where other != number { merge(other, into: number) }
        groups[number]?.followers += 1
        hold(keys, by: firstSequence, count, group: number)
    }

    private mutating func merge(_ number: UInt64, into target: UInt64) {
        guard let group = groups.removeValue(forKey: number) else { return }
        for key in group.keys { held[key]?.group = target }
        groups[target]?.keys.formUnion(group.keys)
        groups[target]?.refused.formUnion(group.refused)
        groups[target]?.definitions.formUnion(group.definitions)
        groups[target]?.followers += group.followers
        changes.keys.formUnion(group.keys)
        changes.refused.formUnion(group.refused)
        changes.groups.formUnion([number, target])
    }

    private mutating func hold(
        _ keys: [QuarantinedKey], by firstSequence: UInt64, _ count: Int, group: UInt64
    ) {
        let last = firstSequence + UInt64(max(1, count)) - 1
        for key in keys {
            if held[key] == nil {
                held[key] = Held(since: firstSequence, last: last, group: group)
                counts[key.table, default: 0] += 1
                groups[group]?.keys.insert(key)
            } else {
                held[key]?.last = last
            }
        }
        lowest = lowest == 0 ? firstSequence : min(lowest, firstSequence)
        latest = max(latest, last)
        changes.keys.formUnion(keys)
        changes.groups.insert(group)
    }

    /// The database took a commit that ``settles(_:_:)``. Returns the commits that left quarantine.
    @discardableResult
    package mutating func release(_ contents: CommitContents, _ numbers: Set<UInt64>) -> Group {
        var released = Group()
        guard !numbers.isEmpty else { return released }
        settlements += 1
        let keys = Set(contents.keys)
        for number in numbers {
            guard let group = groups[number] else { continue }
            if covers(contents, keys, number) {
                released.keys.formUnion(group.keys)
                released.followers += group.followers
                giveUp(group.keys, of: number)
                released.refused.formUnion(group.refused)
            } else {
                let part = keys.intersection(group.keys)
                released.keys.formUnion(part)
                released.refused.formUnion(giveUp(part, of: number))
            }
        }
        lookForLowest()
        return released
    }

    /// Releases rows of a group. Returns the refused commits that held no other rows.
    ///
    /// Only the log shows which followers hold other keys, so the followers are counted until no row is left.
    @discardableResult
    private mutating func giveUp(
        _ keys: Set<QuarantinedKey>, of number: UInt64
    ) -> Set<UInt64> {
        guard let group = groups[number] else { return [] }
        for key in keys { letGo(key) }
        let gone = group.refused.filter { !contains($0, refused[$0]?.keys ?? []) }
        for sequence in gone { refused[sequence] = nil }
        changes.refused.formUnion(gone)
        changes.groups.insert(number)
        if keys.count == group.keys.count {
            groups[number] = nil
        } else {
            groups[number]?.keys.subtract(keys)
            groups[number]?.refused.subtract(gone)
        }
        return gone
    }

    /// Removes from a retry the commits that were settled since its last part; otherwise they would come back.
    package func follow(_ pass: inout RetryPass) {
        guard pass.settlements != settlements else { return }
        pass.settlements = settlements
        var stale: [UInt64: Set<QuarantinedKey>] = [:]
        for (key, holder) in pass.left.held where !contains(holder.since, key) {
            stale[holder.group, default: []].insert(key)
        }
        for (group, keys) in stale { pass.left.giveUp(keys, of: group) }
    }

    /// The database took a commit from quarantine, which may also replace others before it.
    package mutating func didApply(
        _ firstSequence: UInt64, count: Int, _ keys: [QuarantinedKey],
        replacing superseded: Group
    ) {
        let last = firstSequence + UInt64(max(1, count)) - 1
        guard let number = keys.compactMap({ held[$0]?.group }).first else { return }
        var taken = superseded.refused
        var followers = superseded.followers
        if refused[firstSequence] == nil { followers += 1 } else { taken.insert(firstSequence) }
        for sequence in taken { refused[sequence] = nil }
        groups[number]?.refused.subtract(taken)
        groups[number]?.definitions.subtract(taken)
        groups[number]?.followers -= followers
        changes.refused.formUnion(taken)
        changes.groups.insert(number)
        for key in superseded.keys.union(keys) {
            if let holder = held[key], holder.last > last {
                held[key]?.since = last + 1
                changes.keys.insert(key)
            } else if held[key] != nil {
                groups[number]?.keys.remove(key)
                letGo(key)
            }
        }
        if groups[number]?.keys.isEmpty == true { groups[number] = nil }
        lookForLowest()
    }

    private mutating func letGo(_ key: QuarantinedKey) {
        guard held.removeValue(forKey: key) != nil else { return }
        releases += 1
        changes.keys.insert(key)
        counts[key.table, default: 0] -= 1
        if counts[key.table] == 0 { counts[key.table] = nil }
    }

    /// Done only from time to time, because it visits all keys.
    private mutating func lookForLowest() {
        guard releases > held.count else { return }
        releases = 0
        lowest = held.values.lazy.map(\.since).min() ?? 0
    }

    /// Replaces the content by that of another index. Everything in either of them counts as changed.
    package mutating func replace(with other: QuarantineIndex) {
        var all = changes
        for index in [self, other] {
            all.keys.formUnion(index.held.keys)
            all.refused.formUnion(index.refused.keys)
            all.groups.formUnion(index.groups.keys)
        }
        self = other
        changes = all
    }
}

extension QuarantinedKey {
    package var table: UInt32 {
        switch self {
        case .row(let table, _), .table(let table): table
        }
    }
}
