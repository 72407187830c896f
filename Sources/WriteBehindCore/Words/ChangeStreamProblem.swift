/// Why a change stream cannot go on: see ``StoreError/changeStream(name:_:)``.
#if compiler(>=6.2.3)
    @nonexhaustive
#endif
public enum ChangeStreamProblem: Sendable, Equatable {
    /// Another consumer has the stream, and a stream has one at a time. End the other one first.
    case inUse
    /// The stream was opened again after the change was delivered. Only the newer consumer can acknowledge.
    case takenOver
    /// The stream was removed, or never made.
    case removed
    /// The stream was made for another table, or for all tables. Give this one another name.
    case ofAnotherTable
    /// The log with these sequences was deleted, because the stream was behind by more than
    /// ``StoreConfiguration/changeStreamLimit``. Remove the stream and begin again.
    case gone(first: UInt64, last: UInt64)
    /// The log does not hold the commit that was acknowledged last: the store is an older copy, or recovery cut the
    /// log off before that commit. Remove the stream and begin again.
    case ofAnotherHistory(sequence: UInt64)
    /// A name must have at least 1 byte, and at most this many.
    case badName(limit: Int)
    /// The store has as many streams as it can have. Remove those that no program follows any more.
    case tooMany(limit: Int)
    /// The file with the positions of all streams cannot be used.
    case unusable(String)
}

extension ChangeStreamProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .inUse: "another consumer has it: end that one, or give this one another name"
        case .takenOver:
            "another consumer has it since this change was delivered, and gets the change again"
        case .removed: "it was removed"
        case .ofAnotherTable:
            "it was made for another table, or for all of them; give this one another name"
        case .gone(let first, let last):
            "the changes of sequences \(first) to \(last) are deleted, since it was too far behind "
                + "(changeStreamLimit); remove it (removeChangeStream) and begin again"
        case .ofAnotherHistory(let sequence):
            "it has acknowledged sequence \(sequence) of another history than the log's: the store is an older "
                + "copy, or was recovered to an earlier state; remove it (removeChangeStream) and begin again"
        case .badName(let limit): "a name has 1 to \(limit) bytes"
        case .tooMany(let limit):
            "there are \(limit) streams, which is the limit; remove those that no program follows any more"
        case .unusable(let why): why
        }
    }
}
