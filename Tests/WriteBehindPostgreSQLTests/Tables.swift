import Foundation
import WriteBehindPostgreSQL

/// A column of each type.
struct Everything: TableRow, Equatable {
    struct Key: RowKey, Hashable {
        var id: UUID
        var flag: Bool
        var name: String

        func encode(to encoder: inout KeyEncoder) {
            encoder.encode(id)
            encoder.encode(flag)
            encoder.encode(name)
        }

        init(id: UUID, flag: Bool, name: String) {
            (self.id, self.flag, self.name) = (id, flag, name)
        }

        init(from decoder: inout RowDecoder) throws {
            id = try decoder.decode()
            flag = try decoder.decode()
            name = try decoder.decode()
        }
    }

    static let schema = TableSchema(
        "everything",
        [
            .key("id", .blob, as: .uuid), .key("flag", .integer, as: .boolean),
            .key("name", .text), .column("number", .integer, nullable: true),
            .column("real", .real, nullable: true), .column("text", .text, nullable: true),
            .column("blob", .blob, nullable: true),
            .column("moment", .text, as: .timestamp, nullable: true),
            .column("seconds", .integer, as: .timestamp, nullable: true),
            .column("json", .text, as: .json, nullable: true),
            .column("decimal", .text, as: .decimal, nullable: true),
        ])

    var key: Key
    var number: Int?
    var real: Double?
    var text: String?
    var blob: [UInt8]?
    var moment: String?
    var seconds: Int?
    var json: String?
    var decimal: String?

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(key.id)
        encoder.encode(key.flag)
        encoder.encode(key.name)
        encoder.encode(number)
        encoder.encode(real)
        encoder.encode(text)
        encoder.encode(blob)
        encoder.encode(moment)
        encoder.encode(seconds)
        encoder.encode(json)
        encoder.encode(decimal)
    }

    init(key: Key) { self.key = key }

    init(from decoder: inout RowDecoder) throws {
        key = try Key(from: &decoder)
        number = try decoder.decode()
        real = try decoder.decode()
        text = try decoder.decode()
        blob = try decoder.decode()
        moment = try decoder.decode()
        seconds = try decoder.decode()
        json = try decoder.decode()
        decimal = try decoder.decode()
    }

    static let plain: Everything = {
        var row = Everything(key: Key(id: UUID(), flag: true, name: "plain"))
        row.number = 7
        row.real = 0.1
        row.text = "text"
        row.blob = [0, 1, 255]
        row.moment = "2026-11-27 04:05:06.789"
        row.seconds = 1_795_752_306
        row.json = #"{"a": [1, null, "ä"]}"#
        row.decimal = "12.50"
        return row
    }()

    static let extreme: Everything = {
        var row = Everything(key: Key(id: UUID(), flag: false, name: ""))
        row.number = .min
        row.real = -.infinity
        row.text = ""
        row.blob = []
        row.moment = "0000-02-29 23:59:59.999"
        row.seconds = -1
        row.json = "null"
        row.decimal = "-123456789012345678901234567890.000000000000001"
        return row
    }()

    static let empty = Everything(key: Key(id: UUID(), flag: false, name: "ä☃"))
}

/// A key of two columns, of which the first is of any length.
struct Word: TableRow, Equatable {
    struct Key: RowKey, Hashable {
        var text: String
        var number: Int

        func encode(to encoder: inout KeyEncoder) {
            encoder.encode(text)
            encoder.encode(number)
        }

        init(text: String, number: Int) { (self.text, self.number) = (text, number) }

        init(from decoder: inout RowDecoder) throws {
            text = try decoder.decode()
            number = try decoder.decode()
        }
    }

    static let schema = TableSchema(
        "word", [.key("text", .text), .key("number", .integer), .column("value", .integer)])
    var key: Key

    init(key: Key) { self.key = key }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(key.text)
        encoder.encode(key.number)
        encoder.encode(1)
    }

    init(from decoder: inout RowDecoder) throws {
        key = try Key(from: &decoder)
        _ = try decoder.decode(Int.self)
    }
}

struct Visit: TableRow {
    typealias Key = Int
    static let schema = TableSchema(
        "visit", [.key("id", .integer), .column("until", .integer, nullable: true)],
        expiry: "until")
    var id: Int
    var until: Int?

    init(id: Int, until: Int?) { (self.id, self.until) = (id, until) }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(until)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        until = try decoder.decode()
    }
}

struct Tag: TableRow, Equatable {
    typealias Key = String
    static let schema = TableSchema("tag", [.key("name", .text)])
    var name: String

    init(name: String) { self.name = name }

    func encode(to encoder: inout RowEncoder) { encoder.encode(name) }

    init(from decoder: inout RowDecoder) throws { name = try decoder.decode() }
}
