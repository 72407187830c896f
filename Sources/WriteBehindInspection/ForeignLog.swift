package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// A log that this process does not write. It is followed by the progress that its writer publishes in the staging
/// file.
package struct ForeignLog: FollowedLog {
    package let environment: LogEnvironment

    package init(_ environment: LogEnvironment) {
        self.environment = environment
    }

    package var readable: UInt64 {
        // If it cannot be read now, the next try reads it. Until then nothing more is readable.
        let published = try? LogInspection.published(environment)
        return (published ?? nil) ?? ((try? LogSeek(environment).lastSequence()) ?? 0)
    }

    package func reader(from sequence: UInt64) throws(LogError) -> LogReader {
        try LogReader(environment, from: sequence)
    }
}
