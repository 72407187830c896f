package import EventLog

extension FencedDisk {
    /// Takes a store's directory for its one writer, as ``take(_:on:refusal:)`` does.
    ///
    /// - Throws: an error that names the process that holds the directory, or says why it is not a store.
    package static func taking(
        _ layout: StoreLayout, on disk: any Disk,
        refusal: (any Disk) throws(SystemError) -> String? = { _ in nil }
    ) throws(StoreError) -> FencedDisk {
        let taking: Taking
        do throws(SystemError) {
            taking = try take(layout, on: disk, refusal: refusal)
        } catch {
            throw StoreError(reaching: layout.root, error)
        }
        switch taking {
        case .taken(let disk): return disk
        case .heldHere: throw .alreadyOpen(path: layout.root)
        case .heldElsewhere: throw .locked(path: layout.lock)
        case .refused(let reason): throw .notAStore(path: layout.root, reason: reason)
        }
    }
}
