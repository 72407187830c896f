public import Foundation

// What programs log as `error.localizedDescription` says as much as `"\(error)"`; by default it would be a number.

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
