import CLinux
import EventLog
import Glibc
import Synchronization

/// An open file of a simulated disk.
final class SimulatedFile: DiskFile {
    let path: String
    private let disk: SimulatedDisk
    private let node: Int
    private let life: Int
    private let isWritable: Bool

    init(_ disk: SimulatedDisk, _ path: String, node: Int, life: Int, isWritable: Bool) {
        self.disk = disk
        self.path = path
        self.node = node
        self.life = life
        self.isWritable = isWritable
    }

    deinit {
        disk.state.withLock { [life] state in
            if state.life == life { state.openFiles.now -= 1 }
        }
    }

    func byteCount() throws(SystemError) -> Int {
        try disk.perform(.byteCount, path, life: life) { [node] state in
            state.byteCount(of: node)
        }
    }

    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int {
        let wanted = bytes.count
        let found = try disk.perform(.read, path, life: life) { [node] state in
            state.files[node]?.read(wanted, at: offset) ?? []
        }
        unsafe bytes.withUnsafeMutableBytes { unsafe $0.copyBytes(from: found) }
        return found.count
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        let bytes = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
        try disk.write(bytes, at: offset, node, path, life: isWritable ? life : -1)
    }

    func write(zeros count: Int, at offset: Int) throws(SystemError) {
        try write([UInt8](repeating: 0, count: count).span, at: offset)
    }

    func synchronize() throws(SystemError) {
        try disk.synchronize(.synchronize, nil, node, path, life: life)
    }

    func truncate(to byteCount: Int) throws(SystemError) {
        try disk.perform(.truncate, path, life: isWritable ? life : -1) { [node] state in
            state.files[node]?.truncate(to: byteCount)
        }
    }

    /// Has no effect on reads here. The trace shows the call.
    func dropCache() { try? disk.perform(.dropCache, path, life: life) { _ in } }

    func standing(at path: String) throws(SystemError) -> Standing {
        try disk.standing(of: node, at: path, life: life)
    }
}

extension SimulatedDisk {
    fileprivate func write(
        _ bytes: [UInt8], at offset: Int, _ node: Int, _ path: String, life: Int
    ) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            let fault = try state.begin(.write, path, life: life)
            var count = state.space(for: bytes.count, at: offset, in: node)
            var code = count < bytes.count ? ENOSPC : 0
            if let fault {
                code = fault.code
                count = 0
                if case .shortWrite = fault, !bytes.isEmpty {
                    count = Int.random(in: 0..<bytes.count, using: &state.random)
                }
            }
            state.files[node]?.write(Array(bytes.prefix(count)), at: offset)
            if code != 0 { throw SystemError(call: "write", path: path, code: code) }
        }
    }

    fileprivate func synchronize(
        _ kind: DiskOperation, _ range: Range<Int>?, _ node: Int, _ path: String, life: Int
    ) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            if let fault = try state.begin(kind, path, life: life) {
                state.files[node]?.forget(range)
                throw SystemError(call: kind.rawValue, path: path, code: fault.code)
            }
            if let part = state.unsyncedPaths, path.contains(part) { return }
            state.files[node]?.synchronize(range)
        }
    }
}

/// A file's bytes in memory.
@safe final class SimulatedMapping: MappedBytes {
    private let disk: SimulatedDisk
    private let path: String
    private let node: Int
    private let life: Int
    private let pages: SimulatedPages
    nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    init(
        _ disk: SimulatedDisk, _ path: String, node: Int, life: Int, _ pages: SimulatedPages,
        byteCount: Int, writable: Bool
    ) {
        self.disk = disk
        self.path = path
        self.node = node
        self.life = life
        self.pages = pages
        unsafe bytes = unsafe pages.map(byteCount, writable: writable)
    }

    deinit { unsafe pages.unmap(bytes) }

    func synchronize(_ range: Range<Int>) throws(SystemError) {
        let byteCount = unsafe bytes.count
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "beyond the mapping")
        guard !range.isEmpty else { return }
        try disk.synchronize(.synchronizeMapping, range, node, path, life: life)
    }

    func reserve(_ range: Range<Int>) throws(SystemError) {
        disk.beforeReserving?()
        try disk.perform(.reserve, path, life: life) { [node, path] state throws(SystemError) in
            try state.reserve(range, of: node, path)
        }
    }

    var mayShareBlocks: Bool { disk.canShareBlocks }

    /// Does nothing: the file gets later stores as well as earlier ones. That is the worst
    /// that a store which still writes can do.
    func detach() {}
}

/// A file or directory that is held.
final class SimulatedHold: Held {
    private let disk: SimulatedDisk
    private let node: Int
    private let life: Int

    init(_ disk: SimulatedDisk, node: Int, life: Int) {
        self.disk = disk
        self.node = node
        self.life = life
    }

    func standing(at path: String) throws(SystemError) -> Standing {
        try disk.standing(of: node, at: path, life: life)
    }
}

/// A held lock.
final class SimulatedLock: Held {
    private let disk: SimulatedDisk
    private let node: Int
    private let life: Int

    init(_ disk: SimulatedDisk, node: Int, life: Int) {
        self.disk = disk
        self.node = node
        self.life = life
    }

    deinit {
        disk.state.withLock { [node, life] state in
            if state.life == life { state.locked.remove(node) }
        }
    }

    func standing(at path: String) throws(SystemError) -> Standing {
        try disk.standing(of: node, at: path, life: life)
    }
}

/// The memory behind the mappings of one file. If threads share the disk, it is a file in memory (memfd): the kernel
/// keeps mappings, reads and writes coherent, so the model may look while other threads store. For a single thread,
/// plain memory does the same without a system call.
///
/// `@unchecked Sendable`: its properties never change. The bytes that they name may be used by several threads only
/// in the kernel's file, as those of a real disk are.
@safe final class SimulatedPages: @unchecked Sendable {
    let byteCount: Int
    private let backing: Backing

    @safe private enum Backing {
        case file(Int32)
        case memory(UnsafeMutableRawPointer)
    }

    init(_ bytes: [UInt8], sharedByThreads: Bool) {
        byteCount = bytes.count
        backing =
            unsafe sharedByThreads
            ? .file(Self.makeFile()) : .memory(.allocate(byteCount: byteCount, alignment: 4096))
        write(bytes, at: 0)
    }

    deinit {
        switch backing {
        case .file(let descriptor): close(descriptor)
        case .memory(let memory): unsafe memory.deallocate()
        }
    }

    private static func makeFile() -> Int32 {
        let descriptor = unsafe memfd_create("simulated-disk", memfd_close_on_exec)
        precondition(descriptor >= 0, "the simulation gets no memory that can be mapped twice")
        return descriptor
    }

    /// The first `count` bytes.
    func read(_ count: Int) -> [UInt8] {
        switch backing {
        case .file(let descriptor): Self.read(count, from: descriptor)
        case .memory(let memory):
            unsafe [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
        }
    }

    private static func read(_ count: Int, from descriptor: Int32) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let part = unsafe pread(
                    descriptor, buffer.baseAddress?.advanced(by: filled), count - filled,
                    off_t(filled))
                precondition(part > 0, "the simulation's memory fails")
                filled += part
            }
        }
    }

    /// Writes what lies within the memory; the rest belongs to the file alone.
    func write(_ bytes: [UInt8], at offset: Int) {
        let count = min(bytes.count, byteCount - offset)
        guard count > 0 else { return }
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            switch backing {
            case .file(let descriptor):
                let written = unsafe pwrite(descriptor, start, count, off_t(offset))
                precondition(written == count, "the simulation's memory fails")
            case .memory(let memory):
                unsafe (memory + offset).copyMemory(from: start, byteCount: count)
            }
        }
    }

    @unsafe func map(_ count: Int, writable: Bool) -> UnsafeMutableRawBufferPointer {
        switch backing {
        case .file(let descriptor):
            let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
            let address = unsafe mmap(nil, count, protection, MAP_SHARED, descriptor, 0)
            unsafe precondition(address != MAP_FAILED, "the simulation's memory cannot be mapped")
            return unsafe UnsafeMutableRawBufferPointer(start: address, count: count)
        case .memory(let memory):
            return unsafe UnsafeMutableRawBufferPointer(start: memory, count: count)
        }
    }

    @unsafe func unmap(_ bytes: UnsafeMutableRawBufferPointer) {
        guard case .file = backing else { return }
        unsafe munmap(bytes.baseAddress, bytes.count)
    }
}
