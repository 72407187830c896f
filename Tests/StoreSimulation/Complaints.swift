import Logging
import TestSupport

/// Keeps what a store logs as a warning or an error: without trouble there is nothing to complain of.
struct Complaints: LogHandler {
    private let lines: Locked<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    static func logger(_ lines: Locked<[String]>) -> Logger {
        Logger(label: "simulation") { _ in Complaints(lines: lines) }
    }

    private init(lines: Locked<[String]>) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let text = "\(event.message)"
        // Which rows the database refuses, and which database there is, is the steps' doing.
        guard !text.hasSuffix("it is in quarantine"), !text.contains("put aside") else { return }
        lines.withLock { $0.append("\(text) \(event.metadata ?? [:])") }
    }
}
