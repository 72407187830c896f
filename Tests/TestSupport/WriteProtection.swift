import Foundation

/// Keeps a file from being written, even by root: makes it immutable, if the file system supports that.
package enum WriteProtection {
    private struct Failed: Error {
        var path: String
    }

    package static func set(_ path: String, _ isProtected: Bool) throws {
        guard geteuid() == 0 else {
            return try FileManager.default.setAttributes(
                [.posixPermissions: isProtected ? 0o400 : 0o600], ofItemAtPath: path)
        }
        guard try chattr(isProtected ? "+i" : "-i", path) else { throw Failed(path: path) }
    }

    package static let isPossible: Bool = {
        guard geteuid() == 0 else { return true }
        let path = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
        defer { unlink(path) }
        guard FileManager.default.createFile(atPath: path, contents: nil) else { return false }
        return (try? chattr("+i", path) && chattr("-i", path)) == true
    }()

    private static func chattr(_ flag: String, _ path: String) throws -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["chattr", flag, path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
