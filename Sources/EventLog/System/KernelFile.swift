import CLinux
import Glibc

/// A file in the form of the kernel's list of locks: `fe:01:1837465`, the device and the inode.
///
/// An inode number alone is not enough: each tmpfs counts from 1, so the same files of two stores have the same
/// numbers. And the device that `stat` shows is not always the one in the list: on btrfs and overlayfs it differs. The
/// list has the device of the mounted file system, and so does the list of mounts.
package struct KernelFile: Sendable, Equatable {
    package struct Device: Sendable, Equatable {
        package var major: UInt32
        package var minor: UInt32

        package init(_ major: UInt32, _ minor: UInt32) { (self.major, self.minor) = (major, minor) }
    }

    package let inode: UInt64
    /// nil if the list of mounts cannot be read. Then only inodes are compared.
    package let device: Device?

    package init(inode: UInt64, device: Device?) {
        (self.inode, self.device) = (inode, device)
    }

    /// nil if there is no such file.
    package init?(of path: String) {
        do throws(SystemError) {
            // Opened with O_PATH, because closing such a descriptor releases none of the process's locks on the file.
            let descriptor = try Descriptor(opening: path, open_path)
            inode = UInt64(try descriptor.status(of: path).st_ino)
            device = Self.device(of: descriptor)
        } catch {
            return nil
        }
    }

    /// Whether an entry of the list is about this file.
    package func isNamed(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":")
        guard parts.count == 3, UInt64(parts[2]) == inode else { return false }
        guard let device else { return true }
        return UInt32(parts[0], radix: 16) == device.major
            && UInt32(parts[1], radix: 16) == device.minor
    }

    private static func device(of descriptor: borrowing Descriptor) -> Device? {
        let key = "mnt_id:"
        guard let info = text(of: descriptor.infoPath),
            let line = info.split(separator: "\n").first(where: { $0.hasPrefix(key) }),
            let mount = UInt64(line.dropFirst(key.count).drop { $0 == "\t" || $0 == " " }),
            let mounts = text(of: "/proc/self/mountinfo")
        else { return nil }
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 3)
            guard fields.count == 4, UInt64(fields[0]) == mount else { continue }
            let numbers = fields[2].split(separator: ":").compactMap { UInt32($0) }
            return numbers.count == 2 ? Device(numbers[0], numbers[1]) : nil
        }
        return nil
    }

    /// Reads one of the kernel's own files. Its length is not known before it is read.
    private static func text(of path: String) -> String? {
        do throws(SystemError) {
            let descriptor = try Descriptor(opening: path, O_RDONLY)
            var bytes: [UInt8] = []
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
            defer { unsafe buffer.deallocate() }
            while true {
                let count = unsafe try descriptor.read(into: buffer, at: bytes.count, of: path)
                if count == 0 { return String(decoding: bytes, as: UTF8.self) }
                unsafe bytes.append(contentsOf: buffer[..<count])
            }
        } catch {
            return nil
        }
    }
}
