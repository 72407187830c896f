import Foundation

/// The open files of this process.
package enum OpenFiles {
    /// The files and directories at or below a path that this process has open or mapped, removed ones too.
    package static func below(_ path: String) -> [String] {
        let files = FileManager.default
        let open = ((try? files.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).compactMap {
            try? files.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0)
        }
        let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
        let mapped = maps.split(separator: "\n").compactMap { line in
            line.firstIndex(of: "/").map { String(line[$0...]) }
        }
        return (open + mapped).filter { $0 == path || $0.hasPrefix(path + "/") }.sorted()
    }
}
