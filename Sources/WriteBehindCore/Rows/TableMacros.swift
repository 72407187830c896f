#if Macros
    /// Makes a struct the rows of a table.
    ///
    /// ```swift
    /// import Foundation                          // for UUID and Date
    ///
    /// @Table struct Post {                       // the table "post"; @Table("posts") gives it another name
    ///     let id: UUID                           // the key, unless @Key marks others
    ///     var author: String
    ///     var likes = 0
    ///     var kind: Kind = .text                 // an enum: its raw value
    ///     var tags: [String] = []                // Codable: JSON
    ///     @Column("created_at") var created: Date
    ///     @Ignored var draft = false             // not stored
    ///     @Expires var until: Date?              // the row is deleted then
    /// }
    /// ```
    ///
    /// Every stored property is a column with the same name and the type that ``ColumnValue`` lists for it. An optional
    /// property may be null. The struct gets a conformance to ``TableRow``: it needs no coding by hand, and keeps its
    /// memberwise initializer.
    ///
    /// A property that is added needs a value for older rows: make it optional, or give it a default. The
    /// default must be a literal, an array or dictionary of literals, or a member such as `.text` or `Int.max`. Any other
    /// value is used for new rows only; an optional property that is added with such a value is null in older rows. If you
    /// change the default later, older rows keep the first one.
    ///
    /// A key is never optional, and its type must be written, or be clear from a literal. Classes, actors, enums,
    /// generic structs, structs of the main actor, lazy properties, tuples and properties inside `#if` are refused,
    /// with an error that says what to do. A struct inside a function cannot be a table, because Swift allows no such
    /// macro there.
    ///
    /// - Parameters:
    ///   - name: the table's name in SQL; without it, the struct's name with a small first letter.
    ///   - droppedColumns: columns to remove from the table. Their values are lost when the struct is
    ///     declared to a store.
    ///   - changes: what the log has of an update: the columns that it changed, or the row before it as well, so that change
    ///     streams know whole rows.
    @attached(member, names: named(Key), named(StoredColumns), named(schema))
    @attached(
        extension, conformances: TableRow, AssignedKeyRow, names: named(encode), named(init),
        named(assignedKey))
    public macro Table(
        _ name: String? = nil, dropping droppedColumns: String...,
        changes: LoggedChanges = .columns
    ) =
        #externalMacro(module: "WriteBehindMacros", type: "TableMacro")

    /// Marks a property of a ``Table(_:dropping:changes:)`` as its key. Several make a composite key, in the order of the properties.
    ///
    /// Without it the property `id` is the key. A composite key is found by a `Key` of the struct:
    /// `get(Departure.Key(day: "2013-01-01", number: 7))`.
    ///
    /// - Parameter assigned: whether the store gives new rows their ids. If so, `insert` takes a row whose id is 0, and
    ///   returns it with a new one, and the key must be a single `var` of type `Int`, as in `var id = 0`. See
    ///   ``AssignedKeyRow``.
    @attached(peer) public macro Key(assigned: Bool = false) =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Gives the column of a property of a ``Table(_:dropping:changes:)`` another name than the property's.
    ///
    /// When you rename a property, write `@Column(formerly: "the old name")`: its column is renamed as well. Or write
    /// `@Column("the old name")`, so that the column keeps its name.
    ///
    /// - Parameters:
    ///   - name: the column's name in SQL; without it, the property's.
    ///   - formerNames: the names that the column had before. A program that still uses such a name can open the
    ///     table.
    @attached(peer) public macro Column(
        _ name: String? = nil, formerly formerNames: String...
    ) =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Keeps a property of a ``Table(_:dropping:changes:)`` out of the table. A row that is read has the property's initial
    /// value, so it must have one.
    @attached(peer) public macro Ignored() =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Marks the property of a ``Table(_:dropping:changes:)`` that says when a row expires: the row is deleted then.
    ///
    /// It is a `Date`, or an `Int` in seconds since 1970; nil means never. The column holds whole seconds, rounded up. The
    /// row is deleted within about ``StoreConfiguration/expiryInterval``; until that, reads return it.
    @attached(peer) public macro Expires() =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Lets rows of a ``Table(_:dropping:changes:)`` be read in the order of a property: `top(20, by: \.score)`.
    ///
    /// The index is kept in memory, current to the last write: see <doc:LeaderboardsAndFeeds>.
    @attached(peer) public macro Index() =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Lets rows of a ``Table(_:dropping:changes:)`` be read in the order of several properties.
    ///
    /// ```swift
    /// @Table @Index("byAuthor", on: "author", "created") struct Post { … }
    ///
    /// let newest = try await posts.range(in: \.byAuthor, of: author, order: .descending, limit: 50)
    /// ```
    ///
    /// - Parameters:
    ///   - name: the name that reads use. No column may have this name.
    ///   - properties: the names of the properties. Rows are ordered by the first one, then by the second, and so on. Rows
    ///     that are equal in all of them are in the order of their keys.
    @attached(peer) public macro Index(_ name: String, on properties: String...) =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Makes an index in the database, for queries in SQL: over the marked property, or over several.
    ///
    /// ```swift
    /// @Table @SQLIndex("author", "created") struct Post {
    ///     let id: UUID
    ///     var author: String
    ///     @SQLIndex var created: Date
    /// }
    /// ```
    ///
    /// It is made, rebuilt and carried over with the table, and dropped when the declaration does not have it any more. The
    /// store itself does not use it for reads; ``Index()`` is for that.
    ///
    /// - Parameter properties: the names of several properties, if the attribute is before the struct.
    @attached(peer) public macro SQLIndex(_ properties: String...) =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")

    /// Makes the database refuse a row that has the same value as another row in the marked property, or the same values in
    /// several properties.
    ///
    /// ```swift
    /// @Table @Unique("team", "number") struct Player {
    ///     let id: Int
    ///     @Unique var email: String
    ///     var team: String, number: Int
    /// }
    /// ```
    ///
    /// A write does not check this, because it does not read the database: `put` returns, reads find the row, and the row
    /// then waits in quarantine, as with any other constraint of the database. If that must not
    /// happen, make the value the table's key, which `insert` checks.
    ///
    /// As long as rows already have the same value, the constraint is not in force, and health says so.
    ///
    /// - Parameter properties: the names of several properties, if the attribute is before the struct.
    @attached(peer) public macro Unique(_ properties: String...) =
        #externalMacro(module: "WriteBehindMacros", type: "MarkerMacro")
#endif
