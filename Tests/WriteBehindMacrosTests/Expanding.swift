#if Macros
    import SwiftDiagnostics
    import SwiftParser
    import SwiftSyntax
    import SwiftSyntaxMacroExpansion
    import SwiftSyntaxMacros

    import WriteBehindMacros

    /// The macros, by the names of their attributes.
    let macros: [String: any Macro.Type] = [
        "Table": TableMacro.self, "Key": MarkerMacro.self, "Column": MarkerMacro.self,
        "Ignored": MarkerMacro.self, "Expires": MarkerMacro.self, "Index": MarkerMacro.self,
    ]

    /// A macro's diagnostic.
    struct Complaint {
        var message: String
        var line: Int
        var column: Int
        var fix: String?
    }

    /// Expands the macros of a source. Returns their diagnostics, and the source with their fixes applied.
    func complaints(about source: String) -> (complaints: [Complaint], fixed: String) {
        let file = Parser.parse(source: source)
        let context = BasicMacroExpansionContext(
            sourceFiles: [file: .init(moduleName: "Test", fullFilePath: "test.swift")])
        _ = file.expand(
            macros: macros,
            contextGenerator: { node in
                BasicMacroExpansionContext(
                    sharingWith: context, lexicalContext: node.allMacroLexicalContexts())
            })
        let complaints = context.diagnostics.map { diagnostic in
            let place = context.location(
                of: diagnostic.node, at: .afterLeadingTrivia, filePathMode: .fileID)
            return Complaint(
                message: diagnostic.message, line: place.flatMap { Int($0.line.description) } ?? 0,
                column: place.flatMap { Int($0.column.description) } ?? 0,
                fix: diagnostic.fixIts.first?.message.message)
        }
        var fixed = source
        for case .replace(let old, let new) in context.diagnostics.flatMap(\.fixIts)
            .flatMap(\.changes).reversed()
        {
            let place = context.location(of: old, at: .beforeLeadingTrivia, filePathMode: .fileID)
            guard let start = place.flatMap({ offset($0, in: source) }) else { continue }
            let range = start..<source.utf8.index(start, offsetBy: old.description.utf8.count)
            fixed.replaceSubrange(range, with: new.description)
        }
        return (complaints, fixed)
    }

    /// A source with its macros expanded.
    func expansion(of source: String) -> String {
        let file = Parser.parse(source: source)
        let context = BasicMacroExpansionContext(
            sourceFiles: [file: .init(moduleName: "Test", fullFilePath: "test.swift")])
        return file.expand(
            macros: macros,
            contextGenerator: { node in
                BasicMacroExpansionContext(
                    sharingWith: context, lexicalContext: node.allMacroLexicalContexts())
            }
        ).description
    }

    private func offset(_ place: AbstractSourceLocation, in source: String) -> String.Index? {
        guard let line = Int(place.line.description), let column = Int(place.column.description)
        else { return nil }
        let before = source.split(separator: "\n", omittingEmptySubsequences: false)
            .prefix(line - 1).reduce(0) { $0 + $1.utf8.count + 1 }
        return source.utf8.index(source.startIndex, offsetBy: before + column - 1)
    }
#endif
