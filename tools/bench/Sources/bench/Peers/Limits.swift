import CBase
import Foundation

/// The least cost of staging: records copied into a mapped file that was written before.
///
/// `@unchecked Sendable`: used by one thread.
final class StagingLimit: Peer, Session, @unchecked Sendable {
    private static let byteCount = 32 << 20
    private let base: UnsafeMutableRawPointer
    private var offset = 0

    init(_ directory: String) throws {
        let file = Foundation.open(directory + "/staging", O_RDWR | O_CREAT, 0o600)
        defer { Foundation.close(file) }
        let zeros = [UInt8](repeating: 0, count: Self.byteCount)
        guard write(file, zeros, zeros.count) == zeros.count,
            let mapped = mmap(
                nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0),
            mapped != MAP_FAILED
        else { throw PeerError("staging", String(cString: strerror(errno))) }
        base = mapped
    }

    func session(durable: Bool) -> any Session { self }

    func put(_ key: Bytes, _ value: Bytes) {
        if offset + 28 + key.count + value.count > Self.byteCount { offset = 0 }
        let target = UnsafeMutableRawBufferPointer(
            start: base + offset + 28, count: key.count + value.count)
        target.copyMemory(from: UnsafeRawBufferPointer(key))
        UnsafeMutableRawBufferPointer(rebasing: target[key.count...])
            .copyMemory(from: UnsafeRawBufferPointer(value))
        offset += (28 + key.count + value.count + 7) / 8 * 8
    }

    func get(_ key: Bytes) -> Int? { nil }

    func close() { munmap(base, Self.byteCount) }
}

/// The cost of compression: zstd at level 1 over the same bytes in blocks of 256 KiB, on one core.
///
/// `@unchecked Sendable`: used by one thread.
final class ZstdLimit: Peer, Session, @unchecked Sendable {
    private static let blockSize = 256 << 10
    private let context = ZSTD_createCCtx()
    private var raw = [UInt8](repeating: 0, count: blockSize)
    private var packed = [UInt8](repeating: 0, count: ZSTD_compressBound(blockSize))
    private var offset = 0

    func session(durable: Bool) -> any Session { self }

    func put(_ key: Bytes, _ value: Bytes) {
        if offset + key.count + value.count > Self.blockSize { finish() }
        raw.withUnsafeMutableBytes { raw in
            UnsafeMutableRawBufferPointer(rebasing: raw[offset...])
                .copyMemory(from: UnsafeRawBufferPointer(key))
            UnsafeMutableRawBufferPointer(rebasing: raw[(offset + key.count)...])
                .copyMemory(from: UnsafeRawBufferPointer(value))
        }
        offset += key.count + value.count
    }

    func get(_ key: Bytes) -> Int? { nil }

    func finish() {
        ZSTD_compressCCtx(context, &packed, packed.count, raw, offset, 1)
        offset = 0
    }

    func close() { ZSTD_freeCCtx(context) }
}

/// The cost of a sync: each put is a write of one record and fdatasync, behind the end of the file
/// or over zeros that are there already.
///
/// `@unchecked Sendable`: the offset is used by one thread.
final class SyncLimit: Peer, Session, @unchecked Sendable {
    private static let byteCount = 64 << 20
    private let file: Int32
    private let overwrites: Bool
    private var offset = 0

    init(_ directory: String, overwrites: Bool) throws {
        file = Foundation.open(directory + "/log", O_RDWR | O_CREAT, 0o600)
        self.overwrites = overwrites
        guard overwrites else { return }
        let zeros = [UInt8](repeating: 0, count: Self.byteCount)
        guard write(file, zeros, zeros.count) == zeros.count, fsync(file) == 0 else {
            throw PeerError("sync", String(cString: strerror(errno)))
        }
    }

    func session(durable: Bool) -> any Session { self }

    func put(_ key: Bytes, _ value: Bytes) throws {
        if overwrites, offset + value.count > Self.byteCount { offset = 0 }
        guard pwrite(file, value.baseAddress, value.count, off_t(offset)) == value.count,
            fdatasync(file) == 0
        else { throw PeerError("sync", String(cString: strerror(errno))) }
        offset += value.count
    }

    func get(_ key: Bytes) -> Int? { nil }

    func close() { Foundation.close(file) }
}
