package import EventLog

// health.json, which a writer that is not well keeps current:
//
//   {"process":4711,"time":1384956000000,"since":1384955990000,"verdict":"stalled","causes":["…"]}

/// A writer's report about itself, with what other processes cannot see.
package struct WriterReport: ReportFile, Equatable {
    package var process: Int32
    /// When it was written, milliseconds since 1970.
    package var time: UInt64
    /// Since when the writer has not been well, milliseconds since 1970.
    package var since: UInt64
    package var verdict: String
    package var causes: [String]

    package static func path(in layout: StoreLayout) -> String { layout.health }
}
