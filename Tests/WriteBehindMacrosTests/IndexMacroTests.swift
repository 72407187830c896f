#if Macros
    import Testing

    import WriteBehindMacros

    /// What `@Index` makes, and what it refuses.
    @Suite struct IndexMacroTests {
        @Test func anIndexOverAPropertyIsInTheSchema() {
            let expanded = expansion(
                of: """
                    @Table struct Player {
                        var id = 0
                        @Column("points") @Index var score = 0
                    }
                    """)
            #expect(
                expanded.contains(#"], indices: [IndexDefinition("points")])"#), "\(expanded)")
        }

        @Test func anIndexOverSeveralPropertiesIsAColumnPath() {
            let expanded = expansion(
                of: """
                    @Table @Index("byAuthor", on: "author", "created") public struct Post {
                        var id = 0
                        public var author: String
                        @Column("made") public var created: Date
                    }
                    """)
            #expect(
                expanded.contains(
                    "public var byAuthor: TableIndex<Post, String, String, Date>"), "\(expanded)")
            #expect(
                expanded.contains(#"IndexDefinition("byAuthor", on: "author", "made")"#),
                "\(expanded)")
        }

        @Test(arguments: ["default", "switch", "Type", "self", "Any"])
        func anIndexMayBeCalledAsAKeyword(name: String) {
            let expanded = expansion(
                of: """
                    @Table @Index("\(name)", on: "author", "n") struct Post {
                        var id = 0
                        var author: String
                        var n = 1
                    }
                    """)
            #expect(expanded.contains("var `\(name)`: TableIndex<Post, String, String, Int>"))
            #expect(expanded.contains("IndexDefinition(\"\(name)\", on:"), "\(expanded)")
        }

        @Test func aTypeThatIsNotWrittenIsInferred() {
            let expanded = expansion(
                of: """
                    @Table @Index("byKind", on: "kind", "n") struct Post {
                        var id = 0
                        var kind = Kind.text
                        var n = 1
                    }
                    """)
            #expect(
                expanded.contains(
                    #"let byKind = TableIndex("byKind", \Post.kind, \Post.kind, \Post.n)"#),
                "\(expanded)")
        }

        @Test func indicesOfTheDatabaseAreInTheSchema() {
            let expanded = expansion(
                of: """
                    @Table @Unique("name", "city") @SQLIndex("id", "name") struct User {
                        var id = 0
                        @Unique var email: String
                        var name: String
                        @Column("town") @Index @SQLIndex var city: String
                    }
                    """)
            let wanted =
                #"], indices: [IndexDefinition("town")], sqlIndices: ["#
                + #"SQLIndexDefinition("email", unique: true), SQLIndexDefinition("town"), "#
                + #"SQLIndexDefinition("name", "town", unique: true), SQLIndexDefinition("id", "name")])"#
            #expect(expanded.contains(wanted), "\(expanded)")
        }

        struct Case: CustomTestStringConvertible {
            var rule: String
            var source: String
            var message: String
            var fixed: String?

            var testDescription: String { rule }
        }

        static let cases = [
            Case(
                rule: "a property that is not there",
                source: #"@Table @Index("a", on: "x") struct A { var id = 0; var n = 0 }"#,
                message: "the struct has no column 'x': it has 'id', 'n'"),
            Case(
                rule: "a property twice",
                source: #"@Table @Index("a", on: "n", "n") struct A { var id = 0; var n = 0 }"#,
                message: "the index has 'n' already: remove one of the two"),
            Case(
                rule: "an ignored property",
                source: #"@Table @Index("a", on: "n") struct A { var id = 0; @Ignored var n = 0 }"#,
                message: "the struct has no column 'n': it has 'id'"),
            Case(
                rule: "a property of the key in an index",
                source: #"@Table @Index("a", on: "n", "id") struct A { var id = 0; var n = 0 }"#,
                message:
                    "'id' is of the key, and rows whose other columns are equal are in the order of their keys already: leave it out"
            ),
            Case(
                rule: "the key itself",
                source: "@Table struct A { @Index var id = 0 }",
                message: "'id' is of the key, and cannot have an index",
                fixed: "@Table struct A { var id = 0 }"),
            Case(
                rule: "a name that a property has",
                source: #"@Table @Index("n", on: "n") struct A { var id = 0; var n = 0 }"#,
                message:
                    "'n' is the name of a property or of another index: give the index another one"),
            Case(
                rule: "a name that is none in Swift",
                source: #"@Table @Index("by n", on: "n") struct A { var id = 0; var n = 0 }"#,
                message:
                    #"the name of an index must be a string literal that is a name in Swift, as "byAuthor""#
            ),
            Case(
                rule: "an index without a name",
                source: "@Table @Index struct A { var id = 0; var n = 0 }",
                message:
                    #"an index before the struct has a name and the names of its properties: @Index("byAuthor", on: "author", "created"); for one property, write @Index before that"#
            ),
            Case(
                rule: "a name before a property",
                source: #"@Table struct A { var id = 0; @Index("a", on: "n") var n = 0 }"#,
                message:
                    "an index over one property has the name of its column: write @Index alone; one over several is declared before the struct"
            ),
            Case(
                rule: "a computed property",
                source: "@Table struct A { var id = 0; @Index var n: Int { 1 } }",
                message: "@Index marks a stored property of the struct"),
            Case(
                rule: "an index of the database without properties",
                source: "@Table @SQLIndex struct A { var id = 0; var n = 0 }",
                message:
                    #"before the struct, @SQLIndex has the names of its properties: @SQLIndex("author", "created")"#,
                fixed: "@Table struct A { var id = 0; var n = 0 }"),
            Case(
                rule: "a constraint with names before a property",
                source: #"@Table struct A { var id = 0; @Unique("n") var n = 0 }"#,
                message:
                    "before a property, write @Unique alone; one over several is declared before the struct"
            ),
            Case(
                rule: "a constraint of a property that is not there",
                source: #"@Table @Unique("m") struct A { var id = 0; var n = 0 }"#,
                message: "the struct has no column 'm': it has 'id', 'n'"),
            Case(
                rule: "a constraint of an ignored property",
                source: "@Table struct A { var id = 0; @Ignored @Unique var n = 0 }",
                message:
                    "'n' is @Ignored, so it is no column that @Unique could say something of: remove one of the two"
            ),
            Case(
                rule: "a struct that is no table",
                source: "struct A { @Index var n = 0 }",
                message: "@Index says something to @Table only: mark the struct @Table"),
        ]

        @Test(arguments: cases)
        func whatCannotBeAnIndexIsRefused(_ test: Case) {
            let (complaints, fixed) = complaints(about: test.source)
            #expect(complaints.map(\.message) == [test.message])
            if let wanted = test.fixed { #expect(fixed == wanted) }
        }
    }
#endif
