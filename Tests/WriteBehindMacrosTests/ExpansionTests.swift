#if Macros
    import SwiftSyntax
    import SwiftSyntaxBuilder
    import SwiftSyntaxMacroExpansion
    import SwiftSyntaxMacrosGenericTestSupport
    import Testing

    import WriteBehindMacros

    /// The text of the expansion: the code that `@Table` writes.
    @Suite struct ExpansionTests {
        private func expect(
            _ source: String, becomes expanded: String,
            _ location: Testing.SourceLocation = #_sourceLocation
        ) {
            assertMacroExpansion(
                source, expandedSource: expanded,
                macroSpecs: macros.mapValues { MacroSpec(type: $0, conformances: ["TableRow"]) },
                failureHandler: {
                    Issue.record(Comment(rawValue: $0.message), sourceLocation: location)
                })
        }

        /// A member of an extension has the access level of the extension, unless it has one of its own.
        @Test(arguments: [
            ("public extension", "", "public "), ("package extension", "", "package "),
            ("extension", "", ""), ("private extension", "", ""),
            ("public extension", "internal ", ""), ("extension", "public ", "public "),
            ("public enum", "", ""),
        ])
        func aStructInAnExtensionIsAsVisibleAsThat(
            around: String, own: String, access: String
        ) {
            let expanded = expansion(
                of: """
                    \(around) API {
                        @Table \(own)struct Post {
                            var id = 0
                            var note = ""
                        }
                    }
                    """)
            for member in ["typealias Key", "struct StoredColumns", "static let schema"] {
                let line = expanded.split(separator: "\n").first { $0.contains(member) }
                let text = line?.trimmingPrefix { $0 == " " } ?? ""
                #expect(text.hasPrefix(access + member), "\(expanded)")
            }
        }

        @Test func anImplicitlyUnwrappedPropertyIsAnOptionalColumn() {
            let expanded = expansion(
                of: """
                    @Table struct Post {
                        var id = 0
                        var note: String!
                        @Ignored var draft: String!
                        var a, b: Int!
                    }
                    """)
            #expect(expanded.contains("var note: TableColumn<Post, String?>"), "\(expanded)")
            #expect(expanded.contains("var a: TableColumn<Post, Int?>"), "\(expanded)")
            #expect(expanded.contains("var b: TableColumn<Post, Int?>"), "\(expanded)")
        }

        @Test func aStructGetsItsKeyItsColumnsAndItsCoding() {
            expect(
                """
                @Table struct Post {
                    let id: UUID
                    var author: String
                    var likes = 0
                    @Column("created_at") var created: Date
                    @Ignored var draft = false
                    @Expires var until: Date?
                }
                """,
                becomes: """
                    struct Post {
                        let id: UUID
                        var author: String
                        var likes = 0
                        var created: Date
                        var draft = false
                        var until: Date?

                        typealias Key = UUID

                        struct StoredColumns: TableColumns {
                            var author: TableColumn<Post, String> {
                                TableColumn(0, \\Post.author)
                            }
                            var likes: TableColumn<Post, Int> {
                                TableColumn(1, \\Post.likes)
                            }
                            var created: TableColumn<Post, Date> {
                                TableColumn(2, \\Post.created)
                            }
                            var until: TableColumn<Post, Date?> {
                                TableColumn(3, \\Post.until)
                            }
                            init() {
                            }
                        }

                        static let schema = TableSchema("post", [
                            .stored("id", \\Post.id, isKey: true),
                            .stored("author", \\Post.author),
                            .stored("likes", \\Post.likes, default: 0),
                            .stored("created_at", \\Post.created),
                            .expiry("until", \\Post.until),
                            ], expiry: "until")
                    }

                    extension Post: TableRow {
                        func encode(to encoder: inout RowEncoder) {
                            encoder.encode(self.id)
                            encoder.encode(self.author)
                            encoder.encode(self.likes)
                            encoder.encode(self.created)
                            encoder.encodeSeconds(self.until)
                        }
                        init(from decoder: inout RowDecoder) throws {
                            self.id = try decoder.decode()
                            self.author = try decoder.decode()
                            self.likes = try decoder.decode()
                            self.created = try decoder.decode()
                            self.until = try decoder.decodeSeconds()
                        }
                    }
                    """)
        }

        @Test func aChangedTableSaysWhatItsColumnsWereCalledAndWhichAreGone() {
            expect(
                """
                @Table(dropping: "c", "d") struct A {
                    var id = 0
                    @Column("b", formerly: "a", "x") var name = ""
                    @Column(formerly: "y") var count: Int?
                }
                """,
                becomes: """
                    struct A {
                        var id = 0
                        var name = ""
                        var count: Int?

                        typealias Key = Int

                        struct StoredColumns: TableColumns {
                            var name: TableColumn<A, String> {
                                TableColumn(0, \\A.name)
                            }
                            var count: TableColumn<A, Int?> {
                                TableColumn(1, \\A.count)
                            }
                            init() {
                            }
                        }

                        static let schema = TableSchema("a", [
                            .stored("id", \\A.id, isKey: true),
                            .stored("b", \\A.name, default: "").formerly("a", "x"),
                            .stored("count", \\A.count).formerly("y"),
                            ], dropping: ["c", "d"])
                    }

                    extension A: TableRow {
                        func encode(to encoder: inout RowEncoder) {
                            encoder.encode(self.id)
                            encoder.encode(self.name)
                            encoder.encode(self.count)
                        }
                        init(from decoder: inout RowDecoder) throws {
                            self.id = try decoder.decode()
                            self.name = try decoder.decode()
                            self.count = try decoder.decode()
                        }
                    }
                    """)
        }

        @Test func severalMarkedPropertiesAreOneKey() {
            expect(
                """
                @Table("departures") public struct Departure {
                    @Key public let day: String
                    @Key public var number: Int
                    public var delay: Int?
                    package var belt: Int?
                    var gate = Gate.unknown
                    private var note = ""
                }
                """,
                becomes: """
                    public struct Departure {
                        public let day: String
                        public var number: Int
                        public var delay: Int?
                        package var belt: Int?
                        var gate = Gate.unknown
                        private var note = ""

                        public struct Key: RowKey, Hashable {
                            public var day: String
                            public var number: Int
                            public init(day: String, number: Int) {
                                self.day = day
                                self.number = number
                            }
                            public func encode(to encoder: inout KeyEncoder) {
                                encoder.encode(self.day)
                                encoder.encode(self.number)
                            }
                            public init(from decoder: inout RowDecoder) throws {
                                self.day = try decoder.decode()
                                self.number = try decoder.decode()
                            }
                        }

                        public struct StoredColumns: TableColumns {
                            public var delay: TableColumn<Departure, Int?> {
                                TableColumn(0, \\Departure.delay)
                            }
                            package var belt: TableColumn<Departure, Int?> {
                                TableColumn(1, \\Departure.belt)
                            }
                            let gate = TableColumn(2, \\Departure.gate)
                            public init() {
                            }
                        }

                        public static let schema = TableSchema("departures", [
                            .stored("day", \\Departure.day, isKey: true),
                            .stored("number", \\Departure.number, isKey: true),
                            .stored("delay", \\Departure.delay),
                            .stored("belt", \\Departure.belt),
                            .stored("gate", \\Departure.gate, default: Gate.unknown),
                            .stored("note", \\Departure.note, default: ""),
                            ])
                    }

                    extension Departure: TableRow {
                        public func encode(to encoder: inout RowEncoder) {
                            encoder.encode(self.day)
                            encoder.encode(self.number)
                            encoder.encode(self.delay)
                            encoder.encode(self.belt)
                            encoder.encode(self.gate)
                            encoder.encode(self.note)
                        }
                        public init(from decoder: inout RowDecoder) throws {
                            self.day = try decoder.decode()
                            self.number = try decoder.decode()
                            self.delay = try decoder.decode()
                            self.belt = try decoder.decode()
                            self.gate = try decoder.decode()
                            self.note = try decoder.decode()
                        }
                    }
                    """)
        }

        @Test(arguments: [
            // The meaning of `.none` depends on the type.
            (": Level = .none", ".none as Level"), (": Level? = .none", ".none"),
            (": Kind = (.picture)", "(.picture) as Kind"), (": Double = -.pi", "-.pi as Double"),
            (": UInt64 = .max", ".max as UInt64"), (": Int! = .max", ".max"),
            (" = Kind.picture", "Kind.picture"), (": Kind? = Kind.picture", "Kind.picture"),
            (" = Outer.Kind.picture", "Outer.Kind.picture"), (" = Int.max", "Int.max"),
            (": [Kind] = [.text, Kind.picture]", "[.text, Kind.picture]"), (" = (-1)", "(-1)"),
            (": Int? = nil", "nil"), (" = [Kind.text: [(1)]]", "[Kind.text: [(1)]]"),
        ])
        func aDefaultIsTakenAsItsPropertysType(property: String, value: String) {
            let expanded = expansion(of: "@Table struct A { var id = 0; var a\(property) }")
            #expect(expanded.contains(#".stored("a", \A.a, default: \#(value)),"#), "\(expanded)")
        }

        @Test(arguments: [
            ": Date = .now", " = Date.now", " = Date()", " = UUID()", " = limit", " = A.self",
            " = Config.shared.limit", ": Kind = .init(1)", " = \"\\(name)\"", " = [Date.now]",
            ": Date? = (.now)", " = a.b",
        ])
        func aValueThatMayBeAnotherAtEachRunIsNoDefault(property: String) {
            let expanded = expansion(of: "@Table struct A { var id = 0; var a\(property) }")
            #expect(expanded.contains(#".stored("a", \A.a),"#), "\(expanded)")
        }

        @Test(arguments: [
            ("Post", "post"), ("FlightBoard", "flightBoard"), ("HTTPRequest", "httpRequest"),
            ("URL", "url"), ("player", "player"),
        ])
        func aTableIsNamedAfterItsType(type: String, table: String) {
            #expect(TableDeclaration.name(for: type) == table)
        }
    }
#endif
