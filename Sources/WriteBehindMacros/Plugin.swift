#if Macros
    import SwiftCompilerPlugin
    import SwiftSyntaxMacros

    @main struct Plugin: CompilerPlugin {
        let providingMacros: [any Macro.Type] = [TableMacro.self, MarkerMacro.self]
    }
#else
    /// Without the trait `Macros`, swift-syntax is missing, and nothing runs this program.
    @main struct Plugin {
        static func main() {}
    }
#endif
