#if Macros
    package import SwiftSyntax
    package import SwiftSyntaxMacros

    /// `@Table`: makes a struct the rows of a table.
    ///
    /// The member role adds `Key`, `StoredColumns` and `schema`, and reports every mistake. The extension role adds the
    /// conformance, so that the struct keeps its memberwise initialiser. It reports no mistakes, because then each
    /// would be reported twice.
    package enum TableMacro: MemberMacro, ExtensionMacro {
        package static func expansion(
            of node: AttributeSyntax, providingMembersOf declaration: some DeclGroupSyntax,
            conformingTo protocols: [TypeSyntax], in context: some MacroExpansionContext
        ) throws -> [DeclSyntax] {
            var mistakes: [Mistake] = []
            let table = TableDeclaration(
                declaration, attribute: node, in: context.lexicalContext, &mistakes)
            for mistake in mistakes { context.diagnose(mistake.diagnostic) }
            guard let table else { return [] }
            return [table.keyDeclaration, table.columnsDeclaration, table.schemaDeclaration]
        }

        package static func expansion(
            of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
            providingExtensionsOf type: some TypeSyntaxProtocol,
            conformingTo protocols: [TypeSyntax],
            in context: some MacroExpansionContext
        ) throws -> [ExtensionDeclSyntax] {
            var mistakes: [Mistake] = []
            guard
                let table = TableDeclaration(
                    declaration, attribute: node, in: context.lexicalContext, &mistakes)
            else {
                return []
            }
            return [try table.conformance(of: type.trimmedDescription)]
        }
    }

    /// `@Key`, `@Column`, `@Ignored`, `@Expires`, `@Index`. `@Table` reads them. Without `@Table` they have no effect, so
    /// they are an error.
    package enum MarkerMacro: PeerMacro {
        package static func expansion(
            of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
            in context: some MacroExpansionContext
        ) throws -> [DeclSyntax] {
            // An index over several properties is written before the struct itself.
            let attributes =
                declaration.asProtocol((any DeclGroupSyntax).self)?.attributes
                ?? context.lexicalContext.first?.asProtocol((any WithAttributesSyntax).self)?
                .attributes
            let isInTable = attributes?.contains {
                $0.as(AttributeSyntax.self)?.name == "Table"
            }
            if isInTable != true {
                let mark = node.trimmedDescription
                context.diagnose(
                    Mistake(node, "\(mark) says something to @Table only: mark the struct @Table")
                        .diagnostic)
            }
            return []
        }
    }
#endif
