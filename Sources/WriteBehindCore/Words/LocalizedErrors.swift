public import Foundation

// Makes `error.localizedDescription`, which programs log, say as much as `"\(error)"`. By default it would be a number.

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
