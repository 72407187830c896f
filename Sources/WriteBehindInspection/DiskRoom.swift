import Foundation

/// The room of a file system.
package struct DiskRoom: Sendable, Equatable {
    /// Bytes that an ordinary user may still take.
    package var free: UInt64
    package var total: UInt64

    /// nil if it cannot be read.
    package init?(of path: String) {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: path)
        guard let free = attributes?[.systemFreeSize] as? NSNumber,
            let total = attributes?[.systemSize] as? NSNumber
        else { return nil }
        (self.free, self.total) = (free.uint64Value, total.uint64Value)
    }

    /// Whether there is hardly room for one transaction of a database.
    package var isFull: Bool { free < 1 << 20 }
}
