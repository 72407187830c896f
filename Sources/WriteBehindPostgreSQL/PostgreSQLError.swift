import WriteBehindCore

/// The five characters by which the server names an error, as the number that a ``SinkError`` has room for. The server
/// packs them in the same way: six bits each.
enum SQLState {
    static func code(_ text: String) -> Int32 {
        var code: Int32 = 0
        for (place, byte) in text.utf8.prefix(5).enumerated() {
            code |= (Int32(byte) - 0x30 & 0x3F) << (6 * Int32(place))
        }
        return code
    }

    static func text(_ code: Int32) -> String {
        let bytes = (0..<5).map { UInt8((code >> (6 * Int32($0))) & 0x3F) + 0x30 }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension SinkError {
    /// The meaning of an error of the server.
    init(state: String, _ message: String) {
        self.init(
            Self.kind(of: state, message), code: SQLState.code(state), "\(message) (\(state))")
    }

    /// What to do about a pooler that gives each transaction the server's process that is free.
    static var pooled: SinkError {
        SinkError(
            .schema,
            "a pooler of transactions is in between; connect to the server itself, or to a pooler of sessions"
        )
    }

    /// A value that the column's type in the server cannot hold as it is.
    static func unfit(_ message: String) -> SinkError { SinkError(state: "22000", message) }

    /// The error's name in the server; nil if the error is not the server's.
    var sqlState: String? { code == 0 ? nil : SQLState.text(code) }

    private static func kind(of state: String, _ message: String) -> Kind {
        if let kind = kinds[state] { return kind }
        // Row security says so of a row; all other words of this state are about rights.
        if state == "42501" {
            return message.contains("new row violates") ? .constraint : .schema
        }
        return classes[String(state.prefix(2))] ?? .io
    }

    private static let kinds: [String: Kind] = [
        // Nobody knows whether the transaction was committed.
        "40003": .gone,
        "53100": .diskFull,
        "25006": .readOnly,
        "P0001": .constraint,
        // A statement was prepared for tables that have changed since, or is not there: it is prepared again.
        "0A000": .busy,
        "26000": .busy,
        // The server is going down, coming up, or has ended this session.
        "57P01": .gone, "57P02": .gone, "57P03": .gone, "57P04": .gone, "57P05": .gone,
        "25P03": .gone,
    ]

    private static let classes: [String: Kind] = [
        "08": .gone,
        "21": .constraint, "22": .constraint, "23": .constraint, "44": .constraint,
        "54": .constraint,
        "25": .io, "28": .schema, "3D": .schema, "42": .schema, "3F": .schema,
        "40": .busy, "53": .busy, "55": .busy, "57": .busy,
        "58": .io,
    ]

    /// Whether the server's words fit nothing that is known. The same may be said again of the same rows for ever.
    var isUnexplained: Bool {
        guard let state = sqlState, Self.kinds[state] == nil, state != "42501" else {
            return false
        }
        // Damaged pages are not the rows' fault.
        if state == "XX001" || state == "XX002" { return false }
        return Self.classes[String(state.prefix(2))] == nil
    }

    /// Whether the server itself refuses a definition, for what users made of the database.
    var isRefusalOfDefinition: Bool {
        code != 0 && (kind == .schema || kind == .constraint)
    }
}
