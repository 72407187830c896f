import EventLog
import Glibc

/// A directory of the machine that goes, with what is in it, when the last reference does.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/eventlog-tests-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "the tests need a temporary directory")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        for name in (try? PosixDisk().list(path)) ?? [] {
            let child = path + "/" + name
            if unlink(child) != 0 { remove(child) }
        }
        rmdir(path)
    }
}

extension DiskFile {
    /// Writes an array's bytes.
    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        try write(bytes.span, at: offset)
    }

    /// Up to `count` bytes at `offset`.
    func read(_ count: Int, at offset: Int = 0) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        var span = bytes.mutableSpan
        let found = try read(into: &span, at: offset)
        return Array(bytes.prefix(found))
    }
}

extension Disk {
    /// A new file that holds these bytes, nothing of it durable.
    @discardableResult
    func create(_ path: String, _ bytes: [UInt8]) throws(SystemError) -> any DiskFile {
        let file = try open(path, .createExclusively)
        try file.write(bytes, at: 0)
        return file
    }
}

extension MappedBytes {
    func store(_ value: UInt8, _ range: Range<Int>) {
        for index in range { bytes[index] = value }
    }
}

/// The error code that `body` throws; 0 when it throws none.
func errorCode(_ body: () throws(SystemError) -> Void) -> Int32 {
    do {
        try body()
        return 0
    } catch {
        return error.code
    }
}
