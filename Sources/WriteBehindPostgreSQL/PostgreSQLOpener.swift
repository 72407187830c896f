import EventLog
import Foundation
package import WriteBehindCore

/// Opens the part of a PostgreSQL database that is a store's. Made once for each store that is opened.
package struct PostgreSQLOpener: SinkOpener {
    let options: PostgreSQLOptions
    private let claims = Claims()

    package init(_ options: PostgreSQLOptions) { self.options = options }

    /// The address without what must stay secret.
    package func name(for owner: SinkOwner) -> String { PostgreSQLAddress.shown(options.address) }

    package var place: String? { PostgreSQLAddress.shown(options.address) }

    package func open(for owner: SinkOwner) throws(SinkError) -> any Sink {
        try PostgreSQLSink(
            options, store: owner.storeID.bytes, origin: owner.origin, claims)
    }
}

/// The words of an address.
package enum PostgreSQLAddress {
    /// A URL with the place alone, since other parts may be secret; of anything else, no more than that it is one.
    package static func shown(_ address: String) -> String {
        guard var url = URLComponents(string: address), url.scheme != nil else {
            return "a PostgreSQL database"
        }
        url.password = nil
        url.queryItems = url.queryItems?.filter { ["host", "port", "dbname"].contains($0.name) }
        return url.string ?? "a PostgreSQL database"
    }
}
