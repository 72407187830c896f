import Foundation

/// The direction in which rows are read in the order of an index.
public enum ReadOrder: Sendable, Hashable, CaseIterable {
    /// The lowest value first; null is the lowest.
    case ascending
    /// The highest value first.
    case descending
}

/// A row, and how many rows are before it.
public struct RankedRow<Row: Sendable>: Sendable {
    /// How many rows are before it: 0 for the first.
    public let rank: Int
    /// The row.
    public let row: Row
}

/// Some rows in an order, and where the next ones are.
public struct RowPage<Row: Sendable>: Sendable {
    /// As many rows as the limit says, or all that are left.
    public let rows: [Row]
    /// Pass it as `after` to get the next page; nil if there were no more rows when this one was read.
    public let next: IndexCursor?
}

/// A place in the order of an index, to read on from.
///
/// It holds the values and the key of a row, so it stays valid when rows are written and deleted, and after the store was
/// opened again. You may hand it to clients as text; it is neither secret nor signed. If it is used with another index,
/// reading begins somewhere in that index, and nothing breaks.
public struct IndexCursor: Sendable, Hashable, Codable, LosslessStringConvertible {
    let position: [UInt8]

    init(position: [UInt8]) { self.position = position }

    /// Reads a cursor from its text; nil if the text is not base64.
    public init?(_ description: String) {
        guard let data = Data(base64Encoded: description) else { return nil }
        position = [UInt8](data)
    }

    public var description: String { Data(position).base64EncodedString() }
}

/// All rows of a table in the order of an index, read a few at a time.
public struct OrderedRows<Row: TableRow>: AsyncSequence, Sendable {
    let table: StoredTable<Row>
    let index: String
    let order: ReadOrder

    public func makeAsyncIterator() -> Iterator { Iterator(rows: self) }

    /// Reads a few hundred rows at a time, and returns them one by one.
    public struct Iterator: AsyncIteratorProtocol {
        private static var rowsAtOnce: Int { 256 }

        private let rows: OrderedRows
        private var read: ArraySlice<Row> = []
        private var cursor: IndexCursor?
        private var isAtEnd = false

        fileprivate init(rows: OrderedRows) { self.rows = rows }

        /// The next row; nil at the end.
        ///
        /// - Throws: as ``StoredTable/top(_:by:)-(_,String)``.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(StoreError) -> Row? {
            if read.isEmpty, !isAtEnd {
                let page = try await rows.table.range(
                    in: rows.index, order: rows.order, limit: Self.rowsAtOnce, after: cursor)
                read = page.rows[...]
                cursor = page.next
                isAtEnd = page.next == nil
            }
            return read.popFirst()
        }

        /// The same as ``next(isolation:)``, outside of any actor.
        public mutating func next() async throws(StoreError) -> Row? {
            try await next(isolation: nil)
        }
    }
}
