#if Macros
    package import SwiftSyntax
    package import SwiftSyntaxMacros

    /// `@Table`: makes a struct the rows of a table.
    ///
    /// The member role adds `Key`, `StoredColumns` and `schema`, and reports every mistake. The extension role adds the
    /// conformance, so that the struct keeps its memberwise initialiser; it says nothing of mistakes, or each
    /// would be reported twice.
    package enum TableMacro: MemberMacro, ExtensionMacro {
        package static func expansion(
            of node: AttributeSyntax, providingMembersOf declaration: some DeclGroupSyntax,
            conformingTo protocols: [TypeSyntax], in context: some MacroExpansionContext
        ) throws -> [DeclSyntax] {
            var mistakes: [Mistake] = []
            let table = TableDeclaration(declaration, attribute: node, &mistakes)
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
            guard let table = TableDeclaration(declaration, attribute: node, &mistakes) else {
                return []
            }
            return [try table.conformance(of: type.trimmedDescription)]
        }
    }

    /// `@Key`, `@Column`, `@Ignored`, `@Expires`: they only say something to `@Table`, which reads them. Without it they
    /// would say it to nobody.
    package enum MarkerMacro: PeerMacro {
        package static func expansion(
            of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
            in context: some MacroExpansionContext
        ) throws -> [DeclSyntax] {
            let type = context.lexicalContext.first?.asProtocol((any WithAttributesSyntax).self)
            let isInTable = type?.attributes.contains {
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
