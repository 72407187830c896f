import Foundation

/// How much room a store's log and database take.
struct StoreSize {
    /// The log on disk, and unpacked.
    var log = 0
    var raw = 0
    var database = 0

    init(directory: String) throws {
        let files = FileManager.default
        for name in try files.contentsOfDirectory(atPath: directory + "/log").sorted() {
            guard let bytes = files.contents(atPath: directory + "/log/" + name) else { continue }
            log += bytes.count
            raw += Zstd.rawSize([UInt8](bytes)) ?? 0
        }
        let attributes = try files.attributesOfItem(atPath: directory + "/database.sqlite")
        database = (attributes[.size] as? Int) ?? 0
    }
}
