public import WriteBehind

extension Store {
    /// What fails, until ``stopFailing()``.
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
            /// There is no room for it: SQLITE_FULL.
            case full
            /// It cannot be written: SQLITE_IOERR.
            case ioError
            /// It may not be written: SQLITE_READONLY.
            case readOnly
        }
    }

    /// How a store ends without being closed.
    public enum Crash: Sendable, Equatable {
        /// As by `kill -9`: every write that returned survives.
        case process
        /// The machine stops. Writes that were waited for as ``Stage/durable`` survive. Of the others a part may, without a
        /// hole: which part, the seed decides.
        case powerLoss(seed: UInt64)
    }
}
