import ArgumentParser
import WriteBehind
import WriteBehindInspection

/// The store of a command.
struct StoreArgument: ParsableArguments {
    @Argument(help: "The store's directory.", completion: .directory)
    var store: String

    func inspect() throws -> StoreInspection { try StoreInspection(path: store) }
}

/// The store of a command, or one of the store's files.
struct StoreOrFileArgument: ParsableArguments {
    @Argument(
        help:
            "The store's directory, or one file: a segment, a snapshot, staging, a cut-off end.",
        completion: .file())
    var store: String

    func inspect() throws -> StoreInspection { try StoreInspection(path: store) }

    /// nil for a directory.
    func file() throws -> StoredFile? { try StoredFile(store) }
}

/// `--json`, wherever there is output.
struct JSONOption: ParsableArguments {
    @Flag(name: .long, help: "Print JSON instead of text.")
    var json = false
}

extension StoreInspection {
    /// The table of this name. A name that the store does not have is a usage error.
    func definition(named name: String) throws -> TableDefinition {
        let catalog = try fullCatalog()
        if let definition = catalog[name] { return definition }
        let known = catalog.tables.map { plain($0.schema.name) }.joined(separator: ", ")
        throw ValidationError(
            "There is no table \(WriteBehindText.quoted(name)); there are: \(known).")
    }
}
