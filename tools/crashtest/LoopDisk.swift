import ArgumentParser
import Foundation
import TestSupport

enum FileSystem: String, CaseIterable, ExpressibleByArgument, CustomStringConvertible {
    case ext4, xfs, btrfs

    var description: String { rawValue }

    private var maker: String { "mkfs.\(rawValue)" }

    /// The file systems that this machine can make.
    static var here: [FileSystem] { allCases.filter { Command.exists($0.maker) } }

    /// Makes a file system in a file, without output.
    func make(in image: String) throws {
        let quietly = self == .ext4 ? ["-q", "-F"] : self == .xfs ? ["-q"] : ["-q", "-f"]
        try Command.run(maker, quietly + [image])
    }
}

/// A file system in a file, mounted through a loop device.
struct LoopDisk {
    let image: String
    let directory: String
    let kind: FileSystem

    /// Makes a sparse file, and the file system in it.
    func create(byteCount: UInt64) throws {
        guard FileManager.default.createFile(atPath: image, contents: nil) else {
            throw Loss("\(image) cannot be made")
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: image))
        try file.truncate(atOffset: byteCount)
        try file.close()
        try kind.make(in: image)
    }

    func mount() throws {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        try Command.run("mount", ["-t", kind.rawValue, "-o", "loop", image, directory])
    }

    /// Unmounts the disk, which also removes the loop device.
    func unmount() throws {
        do {
            try Command.run("umount", [directory])
        } catch let loss as Loss {
            throw Loss("\(loss); this process has open: \(OpenFiles.below(directory))")
        }
        // btrfs identifies disks by their UUID, and takes a copy for an older state of the same disk.
        if kind == .btrfs { try Command.run("btrfs", ["device", "scan", "--forget"]) }
    }

    /// Detaches the disk after a failure: no process finds it any more. A process that has files of it open keeps it
    /// until it closes them.
    func detach() {
        try? Command.run("umount", ["--lazy", directory])
    }

    /// Copies the disk, as it is at this instant, to another file.
    ///
    /// On XFS, writes to the file wait until the clone is made. So the clone is one moment of the disk: all
    /// writes that the file system had given to the disk, and none that was still in the kernel's memory.
    func copy(to path: String) throws {
        let source = Foundation.open(image, O_RDONLY | O_CLOEXEC)
        let target = Foundation.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer {
            Foundation.close(source)
            Foundation.close(target)
        }
        let clone: UInt = 0x4004_9409  // FICLONE
        guard source >= 0, target >= 0, ioctl(target, clone, source) == 0 else {
            throw Loss("cloning \(image): \(String(cString: strerror(errno)))")
        }
    }
}

/// Runs programs of the system.
enum Command {
    private static let path = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]

    static func exists(_ name: String) -> Bool { find(name) != nil }

    private static func find(_ name: String) -> String? {
        path.map { "\($0)/\(name)" }.first(where: FileManager.default.isExecutableFile)
    }

    /// - Throws: the program's output, if it fails.
    static func run(_ name: String, _ arguments: [String]) throws {
        guard let program = find(name) else { throw Loss("there is no \(name) here") }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        (process.standardOutput, process.standardError) = (pipe, pipe)
        try process.run()
        let said = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Loss("\(name): \(String(decoding: said, as: UTF8.self))")
        }
    }
}
