#if Macros
    import SwiftSyntax

    /// An index or a unique constraint that the database has: `@SQLIndex` or `@Unique`, before a property or, with the
    /// names of several, before the struct.
    struct SQLIndexDeclaration {
        var columns: [Property]
        var isUnique: Bool

        /// The indices of single properties, in their order, and then those that are written before the struct.
        static func all(
            of structure: StructDeclSyntax, _ properties: [Property], _ mistakes: inout [Mistake]
        ) -> [SQLIndexDeclaration] {
            var indices = properties.flatMap { property in
                property.sqlAttributes.map { attribute in
                    SQLIndexDeclaration(columns: [property], isUnique: attribute.name == "Unique")
                }
            }
            for case .attribute(let attribute) in structure.attributes
            where ["SQLIndex", "Unique"].contains(attribute.name) {
                guard case .argumentList(let arguments) = attribute.arguments, !arguments.isEmpty
                else {
                    mistakes.append(
                        Mistake(
                            attribute,
                            "before the struct, @\(attribute.name) has the names of its properties: "
                                + "@\(attribute.name)(\"author\", \"created\")",
                            fix: .remove(attribute, from: structure)))
                    continue
                }
                var columns: [Property] = []
                for argument in arguments {
                    let property = IndexDeclaration.property(
                        argument.expression, properties, columns, &mistakes)
                    if let property { columns.append(property) }
                }
                guard columns.count == arguments.count else { continue }
                indices.append(
                    SQLIndexDeclaration(columns: columns, isUnique: attribute.name == "Unique"))
            }
            return indices
        }
    }
#endif
