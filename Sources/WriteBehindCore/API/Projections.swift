import EventLog

extension Store {
    /// Declares a projection for the store's database, of whichever kind that is.
    ///
    /// - Parameter effects: makes the value that the database runs. It gets a function that turns a change of bytes into one
    ///   of the row's type.
    package func declareProjection<Row>(
        _ name: String, version: Int, of table: StoredTable<Row>,
        effects: (@escaping @Sendable (RowTransition) throws(StoreError) -> ProjectedChange<Row>)
            -> any Sendable
    ) throws(StoreError) {
        try open()
        func refuse(_ reason: String) throws(StoreError) -> Never {
            throw .projection(name: name, reason: reason)
        }
        guard engine.sink.projections != nil else {
            try refuse("the store's primary database cannot have projections, which need SQLite")
        }
        guard !name.isEmpty, name.utf8.count <= 255 else {
            try refuse("a name has 1 to 255 bytes")
        }
        guard table.engine === engine else { throw .unknownTable(table.name) }
        let layout = ChangeLayout(table.layout, table.layout.schema)
        let declaration = ProjectionDeclaration(
            name: name, version: version, table: UInt32(table.id),
            effects: effects { (change) throws(StoreError) in
                try ProjectedChange(change, layout)
            })
        guard store.projections.declare(declaration) else {
            try refuse("it was declared already; declare each projection once, after opening")
        }
        store.materializer.work.raise()
        driver?.runDue()
    }

    /// The projections that were declared, and those that the database keeps, by their names.
    public var projections: [Health.Projection] { engine.projectionHealth }

    /// Builds a projection again from the rows of its table, in the background. Its present tables stay until the new ones
    /// are complete. A projection that has stopped starts again this way, after you have removed the cause.
    ///
    /// - Returns: whether there is one of this name.
    /// - Throws: ``StoreError/database(_:)``; ``StoreError/closed(_:)``.
    @discardableResult
    public nonisolated(nonsending) func rebuildProjection(
        named name: String
    ) async throws(StoreError) -> Bool {
        try await change { sink throws(SinkError) in try sink.rebuildProjection(name) }
    }

    /// Drops a projection and its tables. It is not declared any more, and may be declared again.
    ///
    /// - Returns: whether there was one of this name.
    /// - Throws: ``StoreError/database(_:)``; ``StoreError/closed(_:)``.
    @discardableResult
    public nonisolated(nonsending) func removeProjection(
        named name: String
    ) async throws(StoreError) -> Bool {
        let registry = store.projections
        return try await change { sink throws(SinkError) in
            let wasDeclared = registry.withdraw(name)
            return try sink.removeProjection(name) || wasDeclared
        }
    }

    private nonisolated(nonsending) func change(
        _ body: @escaping @Sendable (any Sink) throws(SinkError) -> Bool
    ) async throws(StoreError) -> Bool {
        try open()
        let (materializer, engine) = (store.materializer, engine)
        defer { materializer.work.raise() }
        return try await Worker.waiting("projections") { () throws(StoreError) in
            try StoreError.ofSink { () throws(SinkError) in
                try materializer.exclusively { () throws(SinkError) in try body(engine.sink) }
            }
        }
    }
}
