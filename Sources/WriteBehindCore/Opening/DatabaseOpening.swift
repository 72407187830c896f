import EventLog

extension StoreOpening {
    /// Finds the store's database, and makes a new one if it cannot be used.
    package struct Database {
        private let owner: SinkOwner
        private let opener: any SinkOpener
        private var sink: (any Sink)?

        init(_ owner: SinkOwner, _ opener: any SinkOpener) {
            self.owner = owner
            self.opener = opener
        }

        /// Opens the database. A damaged one is put aside, because the log holds everything that it held.
        mutating func open() throws(StoreError) {
            do throws(SinkError) {
                do throws(SinkError) {
                    sink = try opener.open(for: owner)
                } catch {
                    guard error.kind == .corrupt else { throw error }
                    try replace(reason: "damaged")
                }
            } catch {
                guard error.kind == .foreignDatabase else { throw StoreError(error) }
                throw .foreignDatabase(path: opener.name(for: owner), reason: error.message)
            }
        }

        /// Puts a database aside that was found damaged while it was in use.
        mutating func replaceDamaged() throws(StoreError) {
            do throws(SinkError) {
                try replace(reason: "damaged")
            } catch {
                throw StoreError(error)
            }
        }

        /// Puts the database aside and makes an empty one.
        private mutating func replace(reason: String) throws(SinkError) {
            try opener.putAside(for: owner, reason: reason)
            sink = try opener.open(for: owner)
        }

        private mutating func replaceOutdated() throws(StoreError) {
            do throws(SinkError) {
                try sink?.close()
                sink = nil
                try replace(reason: "outdated")
            } catch {
                throw StoreError(error)
            }
        }

        func get() throws(StoreError) -> any Sink {
            guard let sink else { throw .database("it is not open") }
            return sink
        }

        func watermark() throws(StoreError) -> Watermark {
            let sink = try get()
            do throws(SinkError) {
                return try sink.watermark()
            } catch {
                throw StoreError(error)
            }
        }

        /// Puts the database aside, and makes a new one, if its chain value differs from the log's at its watermark: then it
        /// reflects another history, one that was cut off or that of another copy of the store.
        ///
        /// Does the same if the log no longer reaches back to the watermark, or to a commit that the database has refused,
        /// provided that there is a good snapshot to fill the new one from.
        mutating func rebuildIfForeign(
            to log: Log, _ rebuild: DatabaseRebuild
        ) throws(StoreError) {
            let watermark = try self.watermark()
            do {
                guard try log.chain(at: watermark.sequence) != watermark.chain else {
                    // The commits that it has refused are only in the log.
                    let refused = try get().quarantine
                    if !refused.isEmpty { _ = try log.commit(at: refused.lowest) }
                    return
                }
                try sink?.close()
                sink = nil
                try replace(reason: "other-history")
            } catch let error as LogError {
                guard case .deleted = error else { throw StoreError(error) }
                _ = try rebuild.base()
                try replaceOutdated()
            } catch {
                throw .database("\(error)")
            }
        }
    }
}
