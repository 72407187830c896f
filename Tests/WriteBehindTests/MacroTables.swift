#if Macros
    import Foundation
    public import WriteBehind

    // Structs that are tables, with one property of each kind.

    enum Kind: String, Sendable { case text, picture }
    enum Level: Int, Codable, Sendable {
        case low = 1
        case high
    }
    struct Place: Codable, Equatable, Sendable { var x: Double, y: Double }

    /// A type that says itself how a column holds it.
    struct Money: ColumnValue, Equatable {
        var cents: Int
        static var columnType: ColumnType { .integer }
        static func encode(_ value: Money?, to encoder: inout RowEncoder) {
            encoder.encode(value?.cents)
        }
        static func decode(from decoder: inout RowDecoder) throws(RowError) -> Money? {
            try decoder.decode(Int?.self).map { Money(cents: $0) }
        }
        func encode(to encoder: inout KeyEncoder) { encoder.encode(cents) }
    }

    /// A type with a raw value, that says otherwise how a column holds it.
    struct Tag: RawRepresentable, ColumnValue, Equatable {
        var rawValue: String
        static var columnType: ColumnType { .integer }
        static func encode(_ value: Tag?, to encoder: inout RowEncoder) {
            encoder.encode((value?.rawValue).flatMap { Int($0) })
        }
        static func decode(from decoder: inout RowDecoder) throws(RowError) -> Tag? {
            try decoder.decode(Int?.self).map { Tag(rawValue: String($0)) }
        }
        func encode(to encoder: inout KeyEncoder) { encoder.encode(Int(rawValue) ?? 0) }
    }

    @propertyWrapper struct Clamped: Sendable, Equatable {
        private var value = 0
        var wrappedValue: Int {
            get { value }
            set { value = min(newValue, 100) }
        }
        init(wrappedValue: Int) { self.wrappedValue = wrappedValue }
    }

    @Table struct Post: Equatable {
        let id: UUID
        var author: String
        var likes = 0
        var kind: Kind = .text
        var tags: [String] = []
        var location: Place?
        @Column("created_at") var created: Date
        @Ignored var draft = false
        @Expires var until: Date?
    }

    @Table("everything") struct Everything: Equatable {
        @Key let day: String
        @Key var number: Int32
        var small: Int8 = -1, wide: UInt64?
        var medium: Int16 = 300, whole: UInt32 = 4_000_000_000
        var ratio: Float = 0.5
        var price: Decimal = 0
        var page: URL?
        var letter: Character = "a"
        var bytes: [UInt8] = []
        var data: Data?
        var level: Level = .low
        var maybe: Level?
        var money: Money?
        var tag: Tag
        var places: [String: Place] = [:]
        var inferred = Kind.picture
        var `class`: String = "x"
        var observed: Int = 1 { didSet { notes += 1 } }
        var computed: Int { observed + 1 }
        var isOn = true
        @Clamped var percent = 5
        @Ignored var notes = 0
        static let limit = 3
        private(set) var secret: Bool = false
        private var hidden = 2.5
    }

    public enum Outside {
        /// Of a public struct, whose columns are not all public.
        @Table public struct Nested: Sendable {
            public var id: Int
            public var name: String
            var kind: Kind = .text
            @Expires var until: Int?
            public init(id: Int, name: String) { (self.id, self.name) = (id, name) }
        }
    }

    // swift-format-ignore: NoAccessLevelOnExtensionDeclaration
    public extension Outside {
        /// Public, because the extension is.
        @Table @Index("default", on: "name", "note") struct Member: Sendable {
            public var id: Int
            public var name = "x"
            public var note: String!
            @Ignored public var draft: Int!
        }
    }

    extension Everything {
        static let example = Everything(
            day: "2013-01-01", number: 7, small: 127, wide: 1 << 62, ratio: 0.1, price: 1.25,
            page: URL(string: "https://a.b/c"), letter: "z", bytes: [1, 2], data: Data([3]),
            level: .high,
            maybe: .low, money: Money(cents: 5), tag: Tag(rawValue: "9"), percent: 7)

        init(
            day: String, number: Int32, small: Int8, wide: UInt64?, ratio: Float, price: Decimal,
            page: URL?,
            letter: Character, bytes: [UInt8], data: Data?, level: Level, maybe: Level?,
            money: Money?, tag: Tag,
            percent: Int
        ) {
            (self.day, self.number, self.small, self.wide) = (day, number, small, wide)
            (self.ratio, self.price, self.page, self.letter) = (ratio, price, page, letter)
            (self.bytes, self.data, self.level, self.maybe) = (bytes, data, level, maybe)
            (self.money, self.tag, self.percent) = (money, tag, percent)
        }
    }

    /// Columns whose values `Narrow` may not be able to read.
    @Table("narrow") struct Loose: Sendable {
        var id: Int
        var small = 0
        var kind = "text"
        var place = #"{"x":1,"y":2}"#
        var letter = "a"
        var price = "1"
    }

    @Table("narrow") struct Narrow {
        var id: Int
        var small: Int8 = 0
        var kind: Kind
        var place: Place
        var letter: Character
        var price: Decimal
    }

    enum Colour: String, RowKey, Sendable { case red, green }

    /// With names that the coding itself uses.
    @Table struct Paint: Equatable {
        @Key var colour: Colour
        var litres: Double = 1
        var encoder = 0, decoder = 0, value = "", key: String?
    }
#endif
