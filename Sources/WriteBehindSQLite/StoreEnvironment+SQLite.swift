package import EventLog
package import WriteBehindCore

extension StoreEnvironment {
    /// The real machine, with a database in SQLite.
    ///
    /// - Parameter pageMemory: the bytes that the writing connection may take for pages.
    package static func machine(
        readers: Int, pageMemory: Int? = nil, disk: any Disk = PosixDisk()
    ) -> StoreEnvironment {
        return StoreEnvironment(
            disk: disk, time: SystemTime(), random: { .random(in: 1 ... .max) },
            opener: SQLiteOpener(SQLiteOptions(readers: readers, pageMemory: pageMemory)))
    }

    /// The real machine, as a store of this configuration uses it.
    package static func machine(
        _ configuration: StoreConfiguration, disk: any Disk = PosixDisk()
    ) -> StoreEnvironment {
        machine(
            readers: configuration.readers, pageMemory: configuration.cacheLimit / 4, disk: disk)
    }
}

extension SQLiteOptions {
    /// - Parameter pageMemory: what the connection that writes the database may take.
    package init(readers: Int, pageMemory: Int? = nil) {
        self.init()
        readerCount = max(1, readers)
        // SQLite reads the number as 32 bits, and treats a larger one as 0.
        if let pageMemory {
            writerCache = min(max(1024, pageMemory >> 10), Int(Int32.max))
        }
    }
}
