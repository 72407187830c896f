public import Foundation

// Makes `error.localizedDescription`, which programs log, the same text as `"\(error)"`. The default shows only a number.

extension StoreError: LocalizedError {
    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension RowError: LocalizedError {
    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension SchemaError: LocalizedError {
    /// The same as `description`.
    public var errorDescription: String? { description }
}
