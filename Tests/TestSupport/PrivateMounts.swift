import Foundation

/// Runs scripts that mount file systems. No other process sees these.
package enum PrivateMounts {
    package static let areUsable = canRun("mount -t tmpfs tmpfs /mnt")

    /// Whether a file system of this kind can be made in a file and mounted.
    package static func canMake(_ kind: String) -> Bool {
        canRun(
            """
            mount -t tmpfs tmpfs /mnt && cd /mnt && truncate -s 256M image && mkdir disk &&
            mkfs.\(kind) -q image && mount -o loop image disk && umount disk
            """)
    }

    private static func canRun(_ script: String) -> Bool {
        geteuid() == 0 && (try? run(script))?.status == 0
    }

    /// The arguments are the script's `$1`, `$2` and so on.
    package static func run(
        _ script: String, _ arguments: String...
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/unshare")
        process.arguments = ["--mount", "bash", "-c", script, "bash"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
