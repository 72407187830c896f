#if Macros
    import SwiftDiagnostics
    import SwiftSyntax

    /// A part of a `@Table` struct that cannot become a part of a table, and how to correct it.
    struct Mistake {
        var node: Syntax
        var text: String
        var fix: FixIt?

        init(_ node: some SyntaxProtocol, _ text: String, fix: FixIt? = nil) {
            self.node = Syntax(node)
            self.text = text
            self.fix = fix
        }

        var diagnostic: Diagnostic {
            Diagnostic(node: node, message: Message(text: text), fixIts: fix.map { [$0] } ?? [])
        }

        struct Message: DiagnosticMessage, FixItMessage {
            var text: String
            var message: String { text }
            var severity: DiagnosticSeverity { .error }
            var diagnosticID: MessageID { MessageID(domain: "WriteBehind", id: text) }
            var fixItID: MessageID { diagnosticID }
        }
    }

    extension FixIt {
        /// Replaces a node by other syntax.
        static func replace(
            _ old: some SyntaxProtocol, by new: some SyntaxProtocol, _ text: String
        ) -> FixIt {
            FixIt(
                message: Mistake.Message(text: text),
                changes: [.replace(oldNode: Syntax(old), newNode: Syntax(new))])
        }

        /// Removes an attribute.
        static func remove(_ attribute: AttributeSyntax, from variable: VariableDeclSyntax) -> FixIt
        {
            var fixed = variable
            let trivia = variable.leadingTrivia
            fixed.attributes = variable.attributes.filter { $0.id != attribute.id }
            fixed.leadingTrivia = trivia
            return replace(variable, by: fixed, "remove \(attribute.trimmedDescription)")
        }

        /// Removes an attribute of a struct.
        static func remove(_ attribute: AttributeSyntax, from structure: StructDeclSyntax) -> FixIt
        {
            replace(
                structure, by: structure.without(attribute),
                "remove \(attribute.trimmedDescription)")
        }

        /// Puts an attribute before a property.
        static func add(_ attribute: String, to variable: VariableDeclSyntax) -> FixIt {
            var fixed = variable
            fixed.leadingTrivia = []
            let mark = AttributeSyntax(
                leadingTrivia: variable.leadingTrivia,
                attributeName: IdentifierTypeSyntax(name: .identifier(attribute)),
                trailingTrivia: .space)
            fixed.attributes = [.attribute(mark)] + fixed.attributes
            return replace(variable, by: fixed, "mark it @\(attribute)")
        }
    }
#endif
