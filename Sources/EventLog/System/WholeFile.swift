extension DiskFile {
    /// The bytes at `offset`, at most `limit`, and fewer if the file ends. Its length is read before memory is allocated.
    package func bytes(_ limit: Int, at offset: Int = 0) throws(SystemError) -> [UInt8] {
        let available = max(0, try byteCount() - offset)
        var bytes = [UInt8](repeating: 0, count: min(limit, available))
        var target = bytes.mutableSpan
        let done = try read(into: &target, at: offset)
        bytes.removeLast(bytes.count - done)
        return bytes
    }
}

extension Disk {
    /// Writes a small file so that it is there in full or not at all: temporary name, sync, rename. Its name
    /// survives power loss once the caller has synced the directory.
    ///
    /// - Parameter isSynced: false for a file that has no value after power loss.
    package func replace(
        _ path: String, with bytes: [UInt8], isSynced: Bool = true
    ) throws(SystemError) {
        let temporary = StoreLayout.temporary(path)
        if try exists(temporary) { try remove(temporary) }
        let file = try open(temporary, .createExclusively)
        try file.write(bytes.span, at: 0)
        if isSynced { try file.synchronize() }
        try rename(temporary, to: path)
    }
}
