public import WriteBehind

extension Store {
    /// A failure to simulate until ``stopFailing()`` is called.
    public enum Failure: Sendable, Equatable {
        /// The database takes no transaction. Writes go on, and are in the log.
        case database(Database)
        /// No file of the store can grow. Once its write buffer cannot be emptied, writes throw
        /// ``StoreError/diskFull(_:)``.
        case diskFull
        /// The next sync of the log fails. From then on writes throw ``StoreError/logFailed(_:)``, until the store is opened
        /// again.
        case sync

        /// The error of the database.
        public enum Database: Sendable, Equatable {
            /// Another process has it locked: SQLITE_BUSY.
            case busy
            /// There is no room for the database: SQLITE_FULL.
            case full
            /// Writing the database fails: SQLITE_IOERR.
            case ioError
            /// The database must not be written: SQLITE_READONLY.
            case readOnly
        }
    }

    /// How a store ends without being closed.
    public enum Crash: Sendable, Equatable {
        /// The process is killed, as by `kill -9`. Every write that returned survives.
        case process
        /// The machine loses power. Writes for which a caller has waited for ``Stage/durable`` survive. Of the later ones, a
        /// part may survive, without a gap. The seed decides how many.
        case powerLoss(seed: UInt64)
    }
}
