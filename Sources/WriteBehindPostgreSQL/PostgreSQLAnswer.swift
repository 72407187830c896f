import CPostgreSQL
import WriteBehindCore

/// What the server answered to a statement.
@safe final class PostgreSQLAnswer {
    private let result: OpaquePointer

    /// - Parameter result: is freed with this.
    @unsafe init(_ result: OpaquePointer) { unsafe self.result = unsafe result }

    deinit { unsafe PQclear(result) }

    var rowCount: Int { Int(unsafe PQntuples(result)) }

    /// The name of what was done: `COMMIT`, or `ROLLBACK` though a commit was asked for.
    var tag: String { unsafe PQcmdStatus(result).map { unsafe String(cString: $0) } ?? "" }

    /// How many rows the statement changed.
    var changed: Int {
        unsafe PQcmdTuples(result).flatMap { unsafe Int(String(cString: $0)) } ?? 0
    }

    /// Why it was refused; nil if it was not.
    var error: SinkError? {
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return nil
        default: break
        }
        var message = field("M") ?? "the connection was lost"
        if let detail = field("D") { message += "; \(detail)" }
        guard let state = field("C") else {
            let words = unsafe PQresultErrorMessage(result).map { unsafe String(cString: $0) }
            return SinkError(.gone, oneLine(words ?? message))
        }
        return SinkError(state: state, oneLine(message))
    }

    private func field(_ code: Unicode.Scalar) -> String? {
        unsafe PQresultErrorField(result, Int32(code.value)).map { unsafe String(cString: $0) }
    }

    /// The bytes of a field of a row; nil for a null.
    func bytes(_ row: Int, _ column: Int) -> [UInt8]? {
        guard unsafe PQgetisnull(result, Int32(row), Int32(column)) == 0,
            let start = unsafe PQgetvalue(result, Int32(row), Int32(column))
        else { return nil }
        let count = Int(unsafe PQgetlength(result, Int32(row), Int32(column)))
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }

    /// A bigint in binary; nil for a null.
    func integer(_ row: Int, _ column: Int) -> Int64? {
        bytes(row, column)?.bigEndian(Int64.self)
    }

    func boolean(_ row: Int, _ column: Int) -> Bool { bytes(row, column) == [1] }

    func text(_ row: Int, _ column: Int) -> String? {
        bytes(row, column).map { String(decoding: $0, as: UTF8.self) }
    }
}

func oneLine(_ words: String) -> String {
    words.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix { $0 == " " || $0 == "\t" } }
        .joined(separator: "; ")
}
