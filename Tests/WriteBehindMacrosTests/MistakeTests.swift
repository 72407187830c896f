#if Macros
    import Testing

    import WriteBehindMacros

    /// A struct that cannot be a table gets one diagnostic for each mistake, at its place, with a fix if there is one.
    @Suite struct MistakeTests {
        struct Case: CustomTestStringConvertible {
            var rule: String
            var source: String
            var message: String
            var line = 2
            var column = 5
            /// The fix's name, and the source after it.
            var fix: (name: String, source: String)?

            var testDescription: String { rule }
        }

        private static let needsAStruct =
            "@Table needs a struct: rows are values that are copied in and out"

        static let types = [
            Case(
                rule: "a class is refused", source: "@Table class A { var id = 0 }",
                message: needsAStruct, line: 1, column: 8,
                fix: ("make it a struct", "@Table struct A { var id = 0 }")),
            Case(
                rule: "an actor is refused", source: "@Table actor A { var id = 0 }",
                message: needsAStruct, line: 1, column: 8,
                fix: ("make it a struct", "@Table struct A { var id = 0 }")),
            Case(
                rule: "an enum is refused", source: "@Table enum A { case a }",
                message: needsAStruct, line: 1, column: 8),
            Case(
                rule: "a generic struct is refused", source: "@Table struct A<T> { var id = 0 }",
                message:
                    "@Table cannot be used on a generic struct: a table has one schema; name the types",
                line: 1, column: 16),
            Case(
                rule: "a struct of the main actor is refused",
                source: "@MainActor @Table struct A { var id = 0 }",
                message:
                    "the rows of a table are read and written by any thread: a @Table struct cannot be @MainActor",
                line: 1, column: 1,
                fix: ("remove @MainActor", "@Table struct A { var id = 0 }")),
            Case(
                rule: "a table's name is a literal",
                source: "@Table(\n    name) struct A { var id = 0 }",
                message: "a table's name must be a string literal"),
        ]

        static let properties = [
            Case(
                rule: "an assigned id is an Int",
                source: "@Table struct A { @Key(assigned: true)\nvar id = \"\" }",
                message:
                    "the store gives ids to rows with one key that is an Int: write @Key(assigned: true) var id = 0"
            ),
            Case(
                rule: "a former name is a literal",
                source: "@Table struct A { var id = 0\n@Column(formerly:\n    old) var a = 1 }",
                message: "a former name must be a string literal", line: 3),
            Case(
                rule: "a column is declared or dropped",
                source: "@Table(dropping: \"a\") struct A { var id = 0\nvar a = 1 }",
                message: "the column 'a' is to be dropped, and is declared as well"),
            Case(
                rule: "a lazy property is refused",
                source: "@Table struct A { var id = 0\n    lazy var a = 1 }",
                message: "a lazy property cannot be a column: make it computed, or give it a value"),
            Case(
                rule: "a tuple is refused",
                source: "@Table struct A { var id = 0\n    var (a, b) = (1, 2) }",
                message: "a tuple cannot be a column: declare one property for each column",
                column: 9),
            Case(
                rule: "a property under a condition is refused",
                source: "@Table struct A { var id = 0\n    #if X\n    var a = 1\n    #endif\n }",
                message: "a column must not depend on a condition: move the property out of #if"),
            Case(
                rule: "a constant with a value is refused",
                source: "@Table struct A { var id = 0\n    let n = 3 }",
                message:
                    "'n' is a constant with a value, so no other could be read into it: make it a variable, or remove its value",
                fix: ("make it a variable", "@Table struct A { var id = 0\n    var n = 3 }")),
            Case(
                rule: "an ignored property needs a value",
                source: "@Table struct A { var id = 0\n    @Ignored var a: Int }",
                message:
                    "'a' is @Ignored, so a row that is read has no value for it: give it one here",
                column: 18,
                fix: (
                    "give it a value",
                    "@Table struct A { var id = 0\n    @Ignored var a: Int = <#value#> }"
                )),
            Case(
                rule: "an ignored property is no column",
                source: "@Table struct A { var id = 0\n    @Column(\"b\") @Ignored var a = 1 }",
                message:
                    "'a' is @Ignored, so it is no column that @Column(\"b\") could say something of: remove one of the two"
            ),
            Case(
                rule: "a computed property is no column",
                source: "@Table struct A { var id = 0\n    @Column(\"b\") var a: Int { 1 } }",
                message: "@Column(\"b\") marks a stored property of the struct",
                fix: (
                    "remove @Column(\"b\")", "@Table struct A { var id = 0\n    var a: Int { 1 } }"
                )),
            Case(
                rule: "a property of the type is no column",
                source: "@Table struct A { var id = 0\n    @Ignored static var a = 1 }",
                message: "@Ignored marks a stored property of the struct",
                fix: (
                    "remove @Ignored", "@Table struct A { var id = 0\n    static var a = 1 }"
                )),
            Case(
                rule: "columns have names of their own",
                source: "@Table struct A { var id = 0; var a = 0\n    @Column(\"A\") var b = 0 }",
                message:
                    "two columns are called 'A', where SQL does not tell upper from lower case: give one another name with @Column",
                column: 22),
            Case(
                rule: "a property has no name that the macro uses",
                source: "@Table struct A { var id = 0\n    var schema = 1 }",
                message:
                    "@Table makes a 'schema' of its own: give the property another name, and its column this one with @Column(\"schema\")",
                column: 9),
            Case(
                rule: "a column's name is a literal",
                source: "@Table struct A { var id = 0; @Column(\n    name) var a = 0 }",
                message: "a column's name must be a string literal"),
            Case(
                rule: "a mark without a table is refused",
                source: "struct A { var id = 0\n    @Column(\"b\") var a = 1 }",
                message: "@Column(\"b\") says something to @Table only: mark the struct @Table"),
        ]

        static let keysAndExpiry = [
            Case(
                rule: "a row has a key", source: "@Table struct A {\n    var a = 0 }",
                message:
                    "a row is found by its key: name a property 'id', or mark one or more @Key",
                line: 1, column: 15,
                fix: ("mark it @Key", "@Table struct A {\n    @Key var a = 0 }")),
            Case(
                rule: "a key is never nil", source: "@Table struct A {\n    var id: Int? }",
                message: "a key is never nil: 'id' cannot be optional", column: 9,
                fix: ("make it not optional", "@Table struct A {\n    var id: Int }")),
            Case(
                rule: "a key is never nil, nor unwrapped implicitly",
                source: "@Table struct A {\n    var id: Int! }",
                message: "a key is never nil: 'id' cannot be optional", column: 9),
            Case(
                rule: "the type of a key is written down",
                source: "@Table struct A {\n    var id = UUID() }",
                message: "the type of the key 'id' must be written down", column: 9,
                fix: (
                    "write its type", "@Table struct A {\n    var id: <#Type#> = UUID() }"
                )),
            Case(
                rule: "a row expires once",
                source:
                    "@Table struct A { var id = 0; @Expires var a: Int?\n    @Expires var b: Int? }",
                message: "a row expires once: 'a' is marked @Expires already", column: 18,
                fix: (
                    "remove @Expires",
                    "@Table struct A { var id = 0; @Expires var a: Int?\n    var b: Int? }"
                )),
            Case(
                rule: "a key does not expire",
                source: "@Table struct A {\n    @Key @Expires var a: Int }",
                message:
                    "a column of the key cannot say when its row expires: mark a property outside the key @Expires",
                column: 23),
        ]

        @Test(arguments: types + properties + keysAndExpiry)
        func aMistakeIsNamedOnceWhereItIs(_ item: Case) {
            let (found, fixed) = complaints(about: item.source)
            #expect(found.map(\.message) == [item.message])
            #expect(found.map(\.line) == [item.line])
            #expect(found.map(\.column) == [item.column])
            #expect(found.map(\.fix) == [item.fix?.name])
            #expect(fixed == item.fix?.source ?? item.source)
        }

        @Test(arguments: types + properties + keysAndExpiry)
        func whatAFixLeavesIsATable(_ item: Case) {
            guard let fix = item.fix else { return }
            #expect(complaints(about: fix.source).complaints.isEmpty)
        }

        @Test(arguments: [
            "@Table struct A { var id = 0; static var a = 1; var b: Int { 1 } }",
            "@Table struct A { var id = 0; var a, b: Int }",
            "@Table struct A { var id: Int { didSet {} }; var a = [String]() }",
            "@Table struct A { @Key var a = -1; @Key let b: String; @Ignored var c: Int? }",
            "@Table struct A { var id = 0\n #if X\n func a() {}\n #endif\n }",
            "@WriteBehind.Table struct A { @WriteBehind.Key var a = 0; @Ignored let b = 1 }",
        ])
        func whatIsNoMistakeIsNotNamed(_ source: String) {
            #expect(complaints(about: source).complaints.isEmpty)
        }
    }
#endif
