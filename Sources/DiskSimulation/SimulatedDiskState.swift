import EventLog
import Glibc

extension SimulatedDisk {
    /// Everything that is under the disk's lock.
    struct State: Sendable {
        static let root = 0

        var random: SeededRandom
        /// Counts crashes; a handle with an older number is dead.
        var life = 0
        var names = SimulatedNames()
        /// Contents by node, kept as long as a name could come back, at least until a crash.
        var files: [Int: SimulatedContents] = [:]
        var locked: Set<Int> = []
        var capacity: Int?
        var supportsSharedMapping = true
        var canShareBlocks = false
        /// How many files are open now, how many ever were, and how many may be.
        var openFiles = (now: 0, most: 0, limit: Int.max)
        let isSharedByThreads: Bool
        var faults = Faults()
        /// Syncs of paths that contain this do nothing.
        var unsyncedPaths: String?
        var keepsTrace = true
        var operations: [LoggedOperation] = []
        var operationCount = 0
        var operationCounts: [DiskOperation: Int] = [:]
        private var lastNode = root
        /// The results of ``parent(of:)`` since a directory was last made or lost.
        private var parents: [String: (directory: Int, name: String)] = [:]

        init(random: SeededRandom, isSharedByThreads: Bool) {
            self.random = random
            self.isSharedByThreads = isSharedByThreads
        }

        /// Counts and logs an operation; returns the failure that is due for it.
        mutating func begin(
            _ kind: DiskOperation, _ path: String, life: Int?
        ) throws(SystemError) -> Fault? {
            if !kind.isUncounted { operationCount += 1 }
            if keepsTrace {
                operationCounts[kind, default: 0] += 1
                operations.append(LoggedOperation(kind, path))
            }
            if let life, life != self.life {
                throw SystemError(call: kind.rawValue, path: path, code: EBADF)
            }
            return faults.next(kind, path)
        }

        // MARK: Crashes

        mutating func killProcess() {
            for node in files.keys.sorted() { files[node]?.unmap() }
            locked = []
            openFiles.now = 0
            life += 1
        }

        mutating func losePower<R: RandomNumberGenerator>(using random: inout R) {
            killProcess()
            names.losePower(using: &random)
            parents = [:]
            let reachable = names.reachable(from: Self.root)
            files = files.filter { reachable.contains($0.key) }
            for node in files.keys.sorted() { files[node]?.losePower(using: &random) }
        }

        // MARK: Names

        /// The directory that a path's last name is in, which must exist, and that name.
        private mutating func parent(
            of path: String
        ) throws(SystemError) -> (directory: Int, name: String) {
            if let known = parents[path] { return known }
            let found = try lookUpParent(of: path)
            parents[path] = found
            return found
        }

        private func lookUpParent(
            of path: String
        ) throws(SystemError) -> (directory: Int, name: String) {
            func failure(_ code: Int32) -> SystemError {
                SystemError(call: "lookup", path: path, code: code)
            }
            guard !path.utf8.contains(0) else { throw failure(EINVAL) }
            var directory = Self.root
            var name: String?
            for part in path.utf8.split(separator: UInt8(ascii: "/")) {
                let part = String(Substring(part))
                guard part != "." else { continue }
                guard part != ".." else { throw failure(EINVAL) }
                if let name {
                    guard let next = names.current[directory]?[name] else {
                        throw failure(ENOENT)
                    }
                    guard names.isDirectory(next) else { throw failure(ENOTDIR) }
                    directory = next
                }
                name = part
            }
            guard let name else { throw failure(path.isEmpty ? ENOENT : EINVAL) }
            return (directory, name)
        }

        /// The node that a path names; nil if its last name does not exist.
        mutating func node(at path: String) throws(SystemError) -> Int? {
            if !path.isEmpty, path.utf8.allSatisfy({ "/.".utf8.contains($0) }) { return Self.root }
            let (directory, name) = try parent(of: path)
            return names.current[directory]?[name]
        }

        mutating func existing(_ path: String) throws(SystemError) -> Int {
            guard let node = try node(at: path) else {
                throw SystemError(call: "lookup", path: path, code: ENOENT)
            }
            return node
        }

        private mutating func directory(_ path: String) throws(SystemError) -> Int {
            let node = try existing(path)
            guard names.isDirectory(node) else {
                throw SystemError(call: "lookup", path: path, code: ENOTDIR)
            }
            return node
        }

        private mutating func makeNode() -> Int {
            lastNode += 1
            return lastNode
        }

        private mutating func makeFile(_ path: String) throws(SystemError) -> Int {
            let (directory, name) = try parent(of: path)
            let node = makeNode()
            files[node] = SimulatedContents()
            names.change([.init(directory, name, node)])
            return node
        }

        mutating func createDirectory(_ path: String) throws(SystemError) {
            if let node = try node(at: path) {
                if names.isDirectory(node) { return }
                throw SystemError(call: "mkdir", path: path, code: EEXIST)
            }
            let (directory, name) = try parent(of: path)
            let node = makeNode()
            names.makeDirectory(node)
            parents = [:]
            names.change([.init(directory, name, node)])
        }

        mutating func list(_ path: String) throws(SystemError) -> [String] {
            let node = try directory(path)
            return names.current[node, default: [:]].keys.sorted()
        }

        mutating func rename(_ source: String, to target: String) throws(SystemError) {
            let node = try existing(source)
            let (sourceDirectory, sourceName) = try parent(of: source)
            let (targetDirectory, targetName) = try parent(of: target)
            if let replaced = names.current[targetDirectory]?[targetName] {
                if replaced == node { return }
                guard !names.isDirectory(replaced), !names.isDirectory(node) else {
                    let code = names.isDirectory(node) ? ENOTDIR : EISDIR
                    throw SystemError(call: "rename", path: source, code: code)
                }
            }
            names.change([
                .init(sourceDirectory, sourceName, nil), .init(targetDirectory, targetName, node),
            ])
            if names.isDirectory(node) { parents = [:] }
        }

        mutating func remove(_ path: String) throws(SystemError) {
            let node = try existing(path)
            guard !names.isDirectory(node) else {
                throw SystemError(call: "unlink", path: path, code: EISDIR)
            }
            let (directory, name) = try parent(of: path)
            names.change([.init(directory, name, nil)])
        }

        mutating func synchronizeDirectory(_ path: String) throws(SystemError) {
            names.synchronize(try directory(path))
        }

        // MARK: Files

        func byteCount(of node: Int) -> Int {
            // By index: a lookup by key would copy the contents.
            files.index(forKey: node).map { files.values[$0].current.count } ?? 0
        }

        /// Counts a file that is opened and stays open.
        mutating func countOpenFile(_ path: String) throws(SystemError) {
            guard openFiles.now < openFiles.limit else {
                throw SystemError(call: DiskOperation.open.rawValue, path: path, code: EMFILE)
            }
            openFiles.now += 1
            openFiles.most = max(openFiles.most, openFiles.now)
        }

        mutating func openFile(_ path: String, _ mode: OpenMode) throws(SystemError) -> Int {
            guard let node = try node(at: path) else {
                if mode == .createExclusively { return try makeFile(path) }
                throw SystemError(call: "open", path: path, code: ENOENT)
            }
            if mode == .createExclusively {
                throw SystemError(call: "open", path: path, code: EEXIST)
            }
            guard files[node] != nil else {
                throw SystemError(call: "open", path: path, code: EISDIR)
            }
            return node
        }

        mutating func map(
            _ node: Int, byteCount: Int, _ path: String
        ) throws(SystemError) -> SimulatedPages {
            let pages = files[node]?.map(byteCount: byteCount, sharedByThreads: isSharedByThreads)
            guard let pages else {
                throw SystemError(call: "mmap", path: path, code: EINVAL)
            }
            return pages
        }

        mutating func takeLock(_ path: String) throws(SystemError) -> Int? {
            let found = try node(at: path)
            let node =
                if found == nil { try makeFile(path) } else { try openFile(path, .readWrite) }
            return locked.insert(node).inserted ? node : nil
        }

        mutating func takeDirectoryLock(_ path: String) throws(SystemError) -> Int? {
            let node = try directory(path)
            return locked.insert(node).inserted ? node : nil
        }

        /// How many of `byteCount` bytes at `offset` there is space for.
        func space(for byteCount: Int, at offset: Int, in node: Int) -> Int {
            guard let room = room(for: node) else { return byteCount }
            let end = files[node, default: SimulatedContents()].current.count + max(0, room)
            return min(byteCount, max(0, end - offset))
        }

        /// How many bytes there is space for; nil without a limit. It is negative after stores into shared pages took space
        /// that there was not.
        private func room(for node: Int? = nil) -> Int? {
            guard let capacity else { return nil }
            let linked = names.reachable(from: Self.root)
            var used = 0
            for (other, contents) in files where linked.contains(other) || other == node {
                used += contents.current.count
                if linked.contains(contents.shared.copy) {
                    used -= contents.shared.pages.count * Self.pageSize
                }
            }
            return capacity - used
        }

        private static let pageSize =
            SimulatedContents.sectorSize * SimulatedContents.sectorsPerPage

        /// Gives a range of a file blocks of its own.
        mutating func reserve(_ range: Range<Int>, of node: Int, _ path: String) throws(SystemError)
        {
            files[node]?.absorb()
            let needed = files[node]?.sharedPages(in: range).count ?? 0
            if needed > 0, let room = room(for: node), room < needed * Self.pageSize {
                throw SystemError(call: DiskOperation.reserve.rawValue, path: path, code: ENOSPC)
            }
            files[node]?.unshare(range)
        }

        /// Whether a mapped page that shares its blocks was stored to while there was no space.
        mutating func hasStoredWithoutRoom() -> Bool {
            var pagesTaken = 0
            for node in files.keys.sorted() {
                files[node]?.absorb()
                pagesTaken += files[node]?.pagesTaken ?? 0
            }
            return pagesTaken > 0 && room() ?? 0 < 0
        }

        // MARK: Tests

        mutating func overwrite(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
            let (directory, name) = try parent(of: path)
            if let node = names.current[directory]?[name], names.isDirectory(node) {
                throw SystemError(call: "overwrite", path: path, code: EISDIR)
            }
            let node = makeNode()
            files[node] = SimulatedContents(durable: bytes)
            names.change([.init(directory, name, node)], isSynced: true)
        }

        mutating func share(_ path: String, with copy: String) throws(SystemError) {
            let node = try existing(path)
            files[node]?.absorb()
            try overwrite(copy, files[node]?.current ?? [])
            files[node]?.share(with: lastNode)
        }

        mutating func erase(_ path: String) throws(SystemError) {
            _ = try existing(path)
            let (directory, name) = try parent(of: path)
            names.change([.init(directory, name, nil)], isSynced: true)
            parents = [:]
        }

        mutating func move(_ path: String, to target: String) throws(SystemError) {
            let node = try existing(path)
            let (source, sourceName) = try parent(of: path)
            let (directory, name) = try parent(of: target)
            names.change(
                [.init(source, sourceName, nil), .init(directory, name, node)], isSynced: true)
            parents = [:]
        }

        func paths(below directory: Int, prefix: String) -> [String] {
            var paths: [String] = []
            for (name, node) in names.current[directory, default: [:]] {
                if names.isDirectory(node) {
                    paths += self.paths(below: node, prefix: prefix + name + "/")
                } else {
                    paths.append(prefix + name)
                }
            }
            return paths
        }
    }
}
