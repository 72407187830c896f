import Foundation

/// The parts of the machine that `crashtest --power` needs.
enum LoopDevices {
    static let unshare = URL(filePath: "/usr/bin/unshare")

    /// Whether file systems can be made and mounted here; found out by doing it.
    static let areUsable: Bool = {
        guard geteuid() == 0 else { return false }
        let directory = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let attempt = """
            mkdir -p \(directory)/mounted && cd \(directory) && truncate --size 512M xfs ext4 &&
            mkfs.xfs -q xfs && mkfs.ext4 -q ext4 && mount -o loop xfs mounted && umount mounted
            """
        return (try? run(unshare, ["--mount", "sh", "-c", attempt]))?.status == 0
    }()

    static let haveBtrfs = ["/sbin", "/usr/sbin", "/usr/bin"].contains {
        FileManager.default.isExecutableFile(atPath: $0 + "/mkfs.btrfs")
    }

    /// Every loop device in use, with its file.
    static func used() throws -> String {
        try run(URL(filePath: "/usr/bin/env"), ["losetup", "--all"]).output
    }

    static func run(
        _ program: URL, _ arguments: [String]
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
