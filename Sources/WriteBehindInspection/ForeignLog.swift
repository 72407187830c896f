package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// A log that another process writes, or that nobody does: followed by what its staging file
/// publishes.
package struct ForeignLog: FollowedLog {
    package let environment: LogEnvironment

    package init(_ environment: LogEnvironment) {
        self.environment = environment
    }

    package var durable: UInt64 {
        // What cannot be read now is read at the next try; until then nothing more is durable.
        let published = try? LogInspection.published(environment)
        return (published ?? nil) ?? ((try? LogSeek(environment).lastSequence()) ?? 0)
    }

    package func reader(from sequence: UInt64) throws(LogError) -> LogReader {
        try LogReader(environment, from: sequence)
    }
}
