#if Macros
    import SwiftSyntax

    /// A struct with `@Table`, as the macro reads it.
    package struct TableDeclaration {
        var typeName: String
        var tableName: String
        /// The access level of the generated code: `public ` or empty.
        var access: String
        /// The properties that become columns, in their order.
        var columns: [Property]
        /// The indices over several columns.
        var indices: [IndexDeclaration] = []
        /// The indices and unique constraints in the database.
        var sqlIndices: [SQLIndexDeclaration] = []
        /// The columns to remove from the table.
        var droppedColumns: [String]
        /// What its log has of updates, as it is written.
        var changes: String?

        /// - Parameter context: the declarations around it, from the innermost one on.
        /// - Returns: nil if there is any mistake.
        init?(
            _ declaration: some DeclGroupSyntax, attribute: AttributeSyntax, in context: [Syntax],
            _ mistakes: inout [Mistake]
        ) {
            guard let structure = Self.structure(declaration, attribute, &mistakes) else {
                return nil
            }
            typeName = structure.name.text
            access = Self.access(of: structure, in: context)
            tableName = Self.name(for: typeName)
            droppedColumns = attribute.texts("dropping", "a column to drop", &mistakes)
            changes = attribute.argument("changes")?.trimmedDescription
            if let argument = attribute.firstArgument {
                if let name = argument.literalText {
                    tableName = name
                } else {
                    mistakes.append(Mistake(argument, "a table's name must be a string literal"))
                }
            }
            columns = []
            for member in structure.memberBlock.members {
                if let condition = member.decl.as(IfConfigDeclSyntax.self) {
                    if Self.holdsProperties(condition) {
                        mistakes.append(
                            Mistake(
                                condition,
                                "a column must not depend on a condition: "
                                    + "move the property out of #if"))
                    }
                } else if let variable = member.decl.as(VariableDeclSyntax.self) {
                    columns += Property.stored(in: variable, &mistakes)
                }
            }
            indices = IndexDeclaration.all(of: structure, columns, &mistakes)
            sqlIndices = SQLIndexDeclaration.all(of: structure, columns, &mistakes)
            check(structure, &mistakes)
            columns.removeAll(where: \.isIgnored)
            for property in columns where droppedColumns.contains(property.column) {
                mistakes.append(
                    Mistake(
                        property.binding,
                        "the column '\(property.column)' is to be dropped, and is declared as well")
                )
            }
            if !mistakes.isEmpty { return nil }
        }

        /// The columns of the key: those marked `@Key`, else `id`.
        var key: [Property] {
            let marked = columns.filter { $0.keyAttribute != nil }
            return marked.isEmpty ? columns.filter { $0.name == "id" } : marked
        }

        /// The key that the store gives new rows; nil if it gives none.
        var assignedKey: Property? { key.first { $0.isAssigned } }

        func isKey(_ property: Property) -> Bool { key.contains { $0.name == property.name } }
        var expiry: Property? { columns.first { $0.expiresAttribute != nil } }

        private static func structure(
            _ declaration: some DeclGroupSyntax, _ attribute: AttributeSyntax,
            _ mistakes: inout [Mistake]
        ) -> StructDeclSyntax? {
            guard let structure = declaration.as(StructDeclSyntax.self) else {
                let keyword = declaration.introducer
                // An enum's cases, or an extension, cannot become a struct.
                let isAlike =
                    declaration.is(ClassDeclSyntax.self) || declaration.is(ActorDeclSyntax.self)
                mistakes.append(
                    Mistake(
                        keyword,
                        "@Table needs a struct: rows are values that are copied in and out",
                        fix: isAlike
                            ? .replace(
                                keyword, by: keyword.with(\.tokenKind, .keyword(.struct)),
                                "make it a struct") : nil))
                return nil
            }
            if let parameters = structure.genericParameterClause {
                mistakes.append(
                    Mistake(
                        parameters,
                        "@Table cannot be used on a generic struct: a table has one schema; "
                            + "name the types"))
                return nil
            }
            for case .attribute(let other) in structure.attributes
            where other.name == "MainActor" {
                mistakes.append(
                    Mistake(
                        other,
                        "the rows of a table are read and written by any thread: "
                            + "a @Table struct cannot be @MainActor",
                        fix: .replace(
                            structure, by: structure.without(other), "remove @MainActor")))
                return nil
            }
            return structure
        }

        private static func access(
            of structure: StructDeclSyntax, in context: [Syntax]
        ) -> String {
            let around = context.drop { context in
                context.as(StructDeclSyntax.self)?.name.text == structure.name.text
            }
            // A member of an extension has the access level of the extension, unless it has one of its own.
            let level =
                accessLevel(structure.modifiers)
                ?? around.first?.as(ExtensionDeclSyntax.self).flatMap { accessLevel($0.modifiers) }
            return level.flatMap { ["public", "package"].contains($0) ? $0 + " " : nil } ?? ""
        }

        private static func accessLevel(_ modifiers: DeclModifierListSyntax) -> String? {
            let levels = ["public", "package", "internal", "fileprivate", "private"]
            return modifiers.lazy.map(\.name.text).first { levels.contains($0) }
        }

        private static func holdsProperties(_ condition: IfConfigDeclSyntax) -> Bool {
            condition.clauses.contains { clause in
                guard case .decls(let members) = clause.elements else { return false }
                var ignored: [Mistake] = []
                return members.contains { member in
                    guard let variable = member.decl.as(VariableDeclSyntax.self) else {
                        return false
                    }
                    return !Property.stored(in: variable, &ignored).isEmpty
                }
            }
        }

        /// The default name of the table: `post` for `Post`, `httpRequest` for `HTTPRequest`.
        package static func name(for type: String) -> String {
            let capitals = type.prefix { $0.isUppercase }.count
            let small = capitals > 1 && capitals < type.count ? capitals - 1 : capitals
            return type.prefix(small).lowercased() + type.dropFirst(small)
        }
    }

    extension StructDeclSyntax {
        func without(_ attribute: AttributeSyntax) -> StructDeclSyntax {
            var fixed = self
            let trivia = leadingTrivia
            fixed.attributes = attributes.filter { $0.id != attribute.id }
            fixed.leadingTrivia = trivia
            return fixed
        }
    }
#endif
