extension StoreLayout {
    /// The files of the log that were not finished.
    static func temporaries(_ environment: LogEnvironment) throws(LogError) -> [String] {
        let (disk, layout) = (environment.disk, environment.layout)
        return try onDisk { () throws(SystemError) in
            var paths: [String] = []
            for path in [layout.staging, layout.cleanEnd, layout.logStart].map(temporary)
            where try disk.exists(path) { paths.append(path) }
            guard try disk.exists(layout.log) else { return paths }
            let names = try disk.list(layout.log).filter(isTemporary).sorted()
            return paths + names.map { layout.log + "/" + $0 }
        }
    }
}
