package import EventLog
import Foundation
package import WriteBehindCore
import WriteBehindSQLite

/// A store whose store.json is lost or damaged. Its UUID is also in the header of every segment and snapshot.
package struct LostIdentity: Sendable {
    /// The content that store.json must have. The time of creation is that of the oldest file.
    package let identity: StoreIdentity
    /// How many files have this UUID.
    package let witnesses: Int
    /// Whether there is a store.json that cannot be read.
    package let isDamaged: Bool
    private let layout: StoreLayout
    private let disk: any Disk

    /// nil if nothing is lost, or no file names the store's UUID.
    ///
    /// - Throws: ``StoreError/inaccessible(_:)`` if files cannot be read; ``StoreError/notAStore(path:reason:)`` if
    ///   files of several stores are in one directory, or a newer version made the store.
    package init?(path: String, disk: any Disk = PosixDisk()) throws {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        layout = StoreLayout(root: path)
        self.disk = disk
        do throws(StoreError) {
            guard try StoreIdentity.read(layout, on: disk) == nil else { return nil }
            isDamaged = false
        } catch {
            guard try Self.isDamaged(layout, disk) else { throw error }
            isDamaged = true
        }
        let headers = try Self.headers(layout, disk)
        guard let first = headers.first else { return nil }
        guard headers.allSatisfy({ $0.storeID == first.storeID }) else {
            throw StoreError.notAStore(
                path: path, reason: "its store.json is lost, and its log is of several stores")
        }
        witnesses = headers.count
        let created = headers.map(\.created).min() ?? 0
        identity = StoreIdentity(storeID: first.storeID, created: created / 1000)
    }

    static func holdsLog(_ layout: StoreLayout, on disk: any Disk) throws(SystemError) -> Bool {
        guard try disk.exists(layout.log) else { return false }
        return try disk.list(layout.log).contains { StoreLayout.sequence(ofFileNamed: $0) != nil }
    }

    /// Whether there is a store.json without valid content. A file of a newer version is not damaged.
    private static func isDamaged(
        _ layout: StoreLayout, _ disk: any Disk
    ) throws(SystemError) -> Bool {
        guard try disk.exists(layout.identity) else { return false }
        let bytes = try disk.open(layout.identity, .read).bytes(64 << 10)
        return (try? JSONDecoder().decode(StoreIdentity.self, from: Data(bytes))) == nil
    }

    /// The headers of segments and snapshots that are whole.
    private static func headers(
        _ layout: StoreLayout, _ disk: any Disk
    ) throws(SystemError) -> [SegmentHeader] {
        var headers: [SegmentHeader] = []
        for directory in [layout.log, layout.snapshots] where try disk.exists(directory) {
            for name in try disk.list(directory).sorted()
            where StoreLayout.sequence(ofFileNamed: name) != nil {
                let bytes = try disk.open(directory + "/" + name, .read)
                    .bytes(SegmentHeader.byteCount)
                if let header = try? SegmentHeader(decoding: bytes.span) { headers.append(header) }
            }
        }
        return headers
    }

    /// Writes store.json again. A damaged file is kept in `aside/`.
    ///
    /// - Returns: the path at which the damaged file is kept; nil if there was none.
    /// - Throws: ``StoreError/locked(path:)`` if a process has the store open.
    package func restore() throws -> String? {
        let held = try FencedDisk.taking(layout, on: disk)
        defer { held.release() }
        var kept: String?
        if isDamaged {
            try held.createDirectory(layout.aside)
            let path = try layout.cutOff("store.json", at: 0, on: held)
            try held.rename(layout.identity, to: path)
            try held.synchronizeDirectory(layout.aside)
            kept = path
        }
        try identity.write(layout, on: held)
        try held.synchronizeDirectory(layout.root)
        return kept
    }
}

extension StoreIdentity {
    /// The identity of a store with this UUID.
    ///
    /// - Parameter created: milliseconds since 1970.
    init(storeID: StoreID, created: UInt64) {
        self.init(random: (0, 0), created: created)
        let bytes = storeID.bytes
        uuid = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: UUID.self) }
    }
}
