package import EventLog

/// One change of a row, with the row before and after it.
package struct RowTransition: Sendable {
    package var table: UInt32
    package var operation: EventLog.Operation
    package var sequence: UInt64
    /// Milliseconds since 1970.
    package var time: UInt64
    package var key: [UInt8]
    /// Row bodies, as the log has them; nil if there is no row.
    package var old: [UInt8]?
    package var new: [UInt8]?
    /// Whether the row existed before the projection, and is read to build it.
    package var isInitial = false

    package init(
        table: UInt32, operation: EventLog.Operation, sequence: UInt64, time: UInt64,
        key: [UInt8], old: [UInt8]?, new: [UInt8]?, isInitial: Bool = false
    ) {
        (self.table, self.operation, self.sequence) = (table, operation, sequence)
        (self.time, self.key, self.old, self.new) = (time, key, old, new)
        self.isInitial = isInitial
    }
}

/// A projection as the program declares it.
package struct ProjectionDeclaration: Sendable {
    package var name: String
    package var version: Int
    package var table: UInt32
    /// The closures, in a form that only a database of one kind uses.
    package var effects: any Sendable

    package init(name: String, version: Int, table: UInt32, effects: any Sendable) {
        (self.name, self.version, self.table, self.effects) = (name, version, table, effects)
    }
}

/// The projections that a program has declared since it opened the store.
package final class ProjectionRegistry: Sendable {
    private let declarations = Lock<[String: ProjectionDeclaration]>([:])

    package init() {}

    package var declared: [String: ProjectionDeclaration] { declarations.withLock { $0 } }

    /// - Returns: false, with nothing done, if this name is already declared.
    package func declare(_ projection: ProjectionDeclaration) -> Bool {
        declarations.withLock { declarations in
            guard declarations[projection.name] == nil else { return false }
            declarations[projection.name] = projection
            return true
        }
    }

    /// - Returns: whether the name was declared.
    package func withdraw(_ name: String) -> Bool {
        declarations.withLock { $0.removeValue(forKey: name) != nil }
    }
}
