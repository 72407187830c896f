package import EventLog
package import Foundation

// store.json, written once when a store is created and never changed:
//
//   {"created":"2013-01-01T10:00:00Z","format":1,"uuid":"…"}

/// The file that makes a directory a store.
package struct StoreIdentity: Codable, Equatable, Sendable {
    package var format: Int
    package var uuid: UUID
    package var created: String

    package static let format = 1
    /// More than any version has written. A longer file is not read.
    private static let byteLimit = 64 << 10

    /// A new store.
    ///
    /// - Parameters:
    ///   - random: 128 random bits, of which the UUID (version 4) keeps 122.
    ///   - created: milliseconds since 1970.
    package init(random: (UInt64, UInt64), created: UInt64) {
        var bytes: [UInt8] = []
        bytes.append(integer: random.0)
        bytes.append(integer: random.1)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        format = Self.format
        uuid = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: UUID.self) }
        self.created = Date(timeIntervalSince1970: Double(created) / 1000).formatted(.iso8601)
    }

    /// When the store was made, in milliseconds since 1970, exact to the second; 0 if that cannot be read.
    package var createdMilliseconds: UInt64 {
        guard let date = try? Date(created, strategy: .iso8601) else { return 0 }
        return UInt64(max(0, date.timeIntervalSince1970 * 1000))
    }

    package var storeID: StoreID {
        let bytes = unsafe withUnsafeBytes(of: uuid.uuid) { unsafe Array($0) }
        return StoreID(bytes.span)
    }

    /// Advice for an operator if the file is lost or damaged.
    package static let wayBack = "`writebehind recover` writes it again from the log"

    package static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> StoreIdentity {
        guard let identity = try? JSONDecoder().decode(Self.self, from: Data(bytes)) else {
            throw .notAStore(path: path, reason: "its store.json is damaged; \(wayBack)")
        }
        guard identity.format == format else {
            throw .notAStore(
                path: path,
                reason: "its format is \(identity.format), and this version reads \(format)")
        }
        return identity
    }

    package func encoded() -> [UInt8] {
        let uuid = uuid.uuidString.lowercased()
        return Array(
            "{\"created\":\"\(created)\",\"format\":\(format),\"uuid\":\"\(uuid)\"}\n".utf8)
    }

    /// Reads the file; nil if there is none.
    package static func read(
        _ layout: StoreLayout, on disk: any Disk
    ) throws(StoreError) -> StoreIdentity? {
        let bytes: [UInt8]
        do throws(SystemError) {
            guard try disk.exists(layout.identity) else { return nil }
            bytes = try disk.open(layout.identity, .read).bytes(byteLimit)
        } catch {
            throw StoreError(reaching: layout.root, error)
        }
        return try decode(bytes, path: layout.root)
    }

    /// Writes the file. The caller syncs the directory.
    package func write(_ layout: StoreLayout, on disk: any Disk) throws(StoreError) {
        do throws(SystemError) {
            try disk.replace(layout.identity, with: encoded())
        } catch {
            throw StoreError(reaching: layout.root, error)
        }
    }
}
