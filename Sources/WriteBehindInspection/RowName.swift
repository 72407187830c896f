import EventLog
import Foundation
package import WriteBehindCore
import WriteBehindSQLite

/// A row as text for people: `flight[123]`.
package enum RowName {
    package static func text(_ schema: TableSchema, _ key: [UInt8]) -> String {
        let name = plain(schema.name)
        guard let values = try? KeyCodec.decode(key.span, schema) else {
            return "\(name)[x'\(hexadecimal(key))']"
        }
        let key = zip(schema.keyColumns, values).map { $1.text(in: $0) }
        return "\(name)[\(key.joined(separator: ", "))]"
    }

    /// A name in a form that is safe in a line: unchanged if it is an ordinary name, otherwise quoted and
    /// escaped.
    package static func plain(_ name: String) -> String {
        let isOrdinary =
            !name.isEmpty
            && name.unicodeScalars.allSatisfy { scalar in
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_"
            }
        return isOrdinary ? name : StoredValue.text(name).description
    }
}

extension StoreInspection {
    /// The store's past. Folding writes temporary files into the system's directory for them, not into
    /// the store.
    ///
    /// - Parameter verified: snapshots that were just read to their ends.
    package func history(
        memoryLimit: Int = 256 << 20, verified: Set<UInt64> = []
    ) -> StoreHistory {
        .spilling(environment, readable: readable, memoryLimit: memoryLimit, verified: verified)
    }
}

extension StoreHistory {
    /// A history whose folding writes temporary files into the system's directory for them.
    static func spilling(
        _ environment: LogEnvironment, readable: UInt64, memoryLimit: Int = 256 << 20,
        verified: Set<UInt64> = []
    ) -> StoreHistory {
        StoreHistory(
            environment, readable: readable,
            spilling: LogFold.Spilling(
                directory: FileManager.default.temporaryDirectory.path, memoryLimit: memoryLimit,
                environment: environment),
            verified: verified)
    }
}

extension RowName {
    /// A path in a form that is safe in a line.
    package static func path(_ path: String) -> String {
        StoredValue.text(path).description == "\"\(path)\""
            ? path : StoredValue.text(path).description
    }
}
