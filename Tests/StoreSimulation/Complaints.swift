import Logging
import TestSupport

/// Keeps what a store logs as a warning or an error. Without trouble it must log none.
struct Complaints: LogHandler {
    struct Heard {
        var complaints: [String] = []
        /// Other log lines, if they are to be kept.
        var remarks: [String] = []
    }

    private let heard: Locked<Heard>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    static func logger(_ heard: Locked<Heard>, withRemarks: Bool) -> Logger {
        Logger(label: "simulation") { _ in
            Complaints(heard: heard, logLevel: withRemarks ? .info : .warning)
        }
    }

    private init(heard: Locked<Heard>, logLevel: Logger.Level) {
        self.heard = heard
        self.logLevel = logLevel
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let text = "\(event.message)"
        // The steps decide which rows the database refuses, and which database there is. So these are no complaints.
        let isRemark =
            event.level < .warning || text.hasSuffix("it is in quarantine")
            || text.contains("put aside")
        guard logLevel < .warning || !isRemark else { return }
        let line = "\(text) \(event.metadata ?? [:])"
        heard.withLock { heard in
            if isRemark { heard.remarks.append(line) } else { heard.complaints.append(line) }
        }
    }
}
