/// The content and work of a cache view.
package struct CacheStatistics: Equatable, Sendable {
    /// Lookups that memory answered, tombstones included.
    package internal(set) var hits = 0
    /// Lookups that the database must answer or complete.
    package internal(set) var misses = 0
    /// Rows dropped to make room.
    package internal(set) var evictions = 0
    /// Rows that came from the database.
    package internal(set) var fills = 0
    /// Rows, partial rows and tombstones in memory.
    package internal(set) var rows = 0
    /// Bytes of rows that the database does not hold yet.
    package internal(set) var dirtyBytes = 0
    /// The part of ``dirtyBytes`` that belongs to rows in quarantine.
    package internal(set) var pinnedBytes = 0
    /// Bytes of resident memory, counted in the chunks in which it is taken and returned.
    package internal(set) var residentBytes = 0

    static func += (left: inout Self, right: Self) {
        left.hits += right.hits
        left.misses += right.misses
        left.evictions += right.evictions
        left.fills += right.fills
        left.rows += right.rows
        left.dirtyBytes += right.dirtyBytes
        left.pinnedBytes += right.pinnedBytes
        left.residentBytes += right.residentBytes
    }
}
