#if Macros
    import SwiftParser
    import SwiftSyntax

    /// An index over several properties of a `@Table` struct: `@Index("byAuthor", on: "author", "created")`.
    struct IndexDeclaration {
        var name: String
        var columns: [Property]
        var attribute: AttributeSyntax

        /// The name as it is written in code: in backticks if it is a keyword.
        var identifier: String {
            // A member may be called `Type` or `Protocol` only in backticks, though these are no keywords.
            let isPlain =
                name.isValidSwiftIdentifier(for: .variableName)
                && !["Type", "Protocol"].contains(name)
            return isPlain ? name : "`\(name)`"
        }

        /// The valid ones of the indices that are written before a struct.
        static func all(
            of structure: StructDeclSyntax, _ properties: [Property], _ mistakes: inout [Mistake]
        ) -> [IndexDeclaration] {
            var indices: [IndexDeclaration] = []
            for case .attribute(let attribute) in structure.attributes
            where attribute.name == "Index" {
                guard
                    let index = IndexDeclaration(attribute, structure, properties, &mistakes)
                else { continue }
                let others = properties.map(\.name) + indices.map(\.name)
                if others.contains(index.name) {
                    mistakes.append(
                        Mistake(
                            attribute,
                            "'\(index.name)' is the name of a property or of another index: "
                                + "give the index another one"))
                }
                indices.append(index)
            }
            return indices
        }

        private init?(
            _ attribute: AttributeSyntax, _ structure: StructDeclSyntax, _ properties: [Property],
            _ mistakes: inout [Mistake]
        ) {
            self.attribute = attribute
            guard case .argumentList(let arguments) = attribute.arguments,
                let first = arguments.first, first.label == nil, arguments.count > 1
            else {
                mistakes.append(
                    Mistake(
                        attribute,
                        "an index before the struct has a name and the names of its properties: "
                            + "@Index(\"byAuthor\", on: \"author\", \"created\"); for one property, write "
                            + "@Index before that",
                        fix: .remove(attribute, from: structure)))
                return nil
            }
            guard let name = first.expression.literalText, Self.isIdentifier(name) else {
                mistakes.append(
                    Mistake(
                        first.expression,
                        "the name of an index must be a string literal that is a name in Swift, as "
                            + "\"byAuthor\""))
                return nil
            }
            self.name = name
            columns = []
            for argument in arguments.dropFirst() {
                guard
                    let property = Self.property(
                        argument.expression, properties, columns, &mistakes)
                else { return nil }
                columns.append(property)
            }
        }

        static func property(
            _ expression: ExprSyntax, _ properties: [Property], _ before: [Property],
            _ mistakes: inout [Mistake]
        ) -> Property? {
            func refuse(_ text: String) -> Property? {
                mistakes.append(Mistake(expression, text))
                return nil
            }
            guard let name = expression.literalText else {
                return refuse("a property's name must be a string literal")
            }
            guard let property = properties.first(where: { $0.name == name }), !property.isIgnored
            else {
                let names = properties.filter { !$0.isIgnored }.map { "'\($0.name)'" }
                return refuse(
                    "the struct has no column '\(name)': it has \(names.joined(separator: ", "))")
            }
            if before.contains(where: { $0.name == name }) {
                return refuse("the index has '\(name)' already: remove one of the two")
            }
            return property
        }

        private static func isIdentifier(_ text: String) -> Bool {
            guard let first = text.first, first.isLetter || first == "_" else { return false }
            return text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
        }
    }

    extension TableDeclaration {
        func checkIndices(_ stored: [Property], _ mistakes: inout [Mistake]) {
            let marked = stored.filter { $0.keyAttribute != nil }
            let keys = (marked.isEmpty ? stored.filter { $0.name == "id" } : marked).map(\.name)
            let reason =
                "rows whose other columns are equal are in the order of their keys already"
            for property in stored where keys.contains(property.name) {
                guard let attribute = property.indexAttribute else { continue }
                mistakes.append(
                    Mistake(
                        attribute, "'\(property.name)' is of the key, and cannot have an index",
                        fix: .remove(attribute, from: property.declaration)))
            }
            for index in indices {
                for property in index.columns where keys.contains(property.name) {
                    mistakes.append(
                        Mistake(
                            index.attribute,
                            "'\(property.name)' is of the key, and \(reason): leave it out"))
                }
            }
        }
    }
#endif
