/// Facts about a staged commit, a block or a footer that can be seen without parsing it. Headers store these bits.
package struct LogFlags: OptionSet, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// To be used instead of `[]`, for which code outside this module would iterate over an empty array.
    package static var plain: LogFlags { LogFlags() }
    /// It is the footer of a segment.
    package static let footer = LogFlags(rawValue: 1)
    /// It holds a mark or settle record.
    package static let mark = LogFlags(rawValue: 2)
    /// It is a block that was made of shorter ones.
    package static let reblocked = LogFlags(rawValue: 4)
    /// It is a block that starts with a preamble.
    package static let preamble = LogFlags(rawValue: 8)
    /// It holds a define record.
    package static let define = LogFlags(rawValue: 16)
    /// It is a staged commit, and its records belong to several tables.
    package static let severalTables = LogFlags(rawValue: 32)
}
