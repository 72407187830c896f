#if Macros
    import SwiftParser
    import SwiftSyntax

    /// A stored property of a `@Table` struct.
    struct Property {
        /// The name as it is written: in backticks if it is a keyword.
        var identifier: TokenSyntax
        /// The type as it is written, but `T?` for `T!`; nil if the compiler infers it.
        var type: TypeSyntax?
        var initialValue: ExprSyntax?
        var isConstant: Bool
        /// The place for mistakes that concern the property as a whole.
        var declaration: VariableDeclSyntax
        var binding: PatternBindingSyntax

        var keyAttribute: AttributeSyntax?
        var columnAttribute: AttributeSyntax?
        var ignoredAttribute: AttributeSyntax?
        var expiresAttribute: AttributeSyntax?
        var indexAttribute: AttributeSyntax?
        /// Its attributes `@SQLIndex` and `@Unique`.
        var sqlAttributes: [AttributeSyntax] = []
        /// The column's name in `@Column`.
        var givenName: String?
        /// The column's former names in `@Column`.
        var formerNames: [String] = []

        var isIgnored: Bool { ignoredAttribute != nil }
        /// Whether it is marked `@Key(assigned: true)`.
        var isAssigned: Bool {
            guard case .argumentList(let arguments) = keyAttribute?.arguments else { return false }
            return arguments.contains {
                $0.label?.text == "assigned"
                    && $0.expression.as(BooleanLiteralExprSyntax.self)?.literal.text == "true"
            }
        }

        /// `public ` or `package ` if the property is declared so; otherwise empty.
        var access: String {
            let modifiers = declaration.modifiers.filter { $0.detail == nil }.map(\.name.text)
            return modifiers.first { ["public", "package"].contains($0) }.map { $0 + " " } ?? ""
        }

        /// Whether only the struct itself, or its file, may read the property.
        var isPrivate: Bool {
            declaration.modifiers.contains {
                $0.detail == nil && ["private", "fileprivate"].contains($0.name.text)
            }
        }

        /// The property's name without backticks.
        var name: String { identifier.identifier?.name ?? identifier.text }
        var column: String { givenName ?? name }

        /// The type that the source shows: the written one, or that of a literal.
        var evidentType: String? {
            if let type { return type.trimmedDescription }
            guard let initialValue else { return nil }
            if initialValue.is(IntegerLiteralExprSyntax.self) { return "Int" }
            if initialValue.is(FloatLiteralExprSyntax.self) { return "Double" }
            if initialValue.is(BooleanLiteralExprSyntax.self) { return "Bool" }
            if let minus = initialValue.as(PrefixOperatorExprSyntax.self),
                minus.operator.text == "-"
            {
                if minus.expression.is(IntegerLiteralExprSyntax.self) { return "Int" }
                if minus.expression.is(FloatLiteralExprSyntax.self) { return "Double" }
            }
            return initialValue.is(StringLiteralExprSyntax.self) ? "String" : nil
        }

        var isOptional: Bool {
            guard let type else { return false }
            if type.is(OptionalTypeSyntax.self) { return true }
            return type.as(IdentifierTypeSyntax.self)?.name.text == "Optional"
        }

    }

    extension Property {
        /// The stored properties of one `var` or `let`; none for computed and static ones.
        static func stored(
            in variable: VariableDeclSyntax, _ mistakes: inout [Mistake]
        ) -> [Property] {
            let isOfType = variable.modifiers.contains {
                ["static", "class"].contains($0.name.text)
            }
            var properties: [Property] = []
            for binding in variable.bindings {
                guard !isOfType, isStored(binding) else {
                    mistakes += marks(on: variable).map { mark in
                        Mistake(
                            mark,
                            "\(mark.trimmedDescription) marks a stored property of the struct",
                            fix: .remove(mark, from: variable))
                    }
                    continue
                }
                if let lazy = variable.modifiers.first(where: { $0.name.text == "lazy" }) {
                    mistakes.append(
                        Mistake(
                            lazy,
                            "a lazy property cannot be a column: make it computed, or give it a value"
                        ))
                    continue
                }
                guard let pattern = binding.pattern.as(IdentifierPatternSyntax.self) else {
                    mistakes.append(
                        Mistake(
                            binding.pattern,
                            "a tuple cannot be a column: declare one property for each column"))
                    continue
                }
                var property = Property(
                    identifier: pattern.identifier.trimmed,
                    type: writtenType(of: binding, in: variable).map(withoutUnwrapping),
                    initialValue: binding.initializer?.value.trimmed,
                    isConstant: variable.bindingSpecifier.text == "let", declaration: variable,
                    binding: binding)
                property.read(variable.attributes, &mistakes)
                properties.append(property)
            }
            return properties
        }

        /// The attributes of a property that `@Table` reads.
        private static func marks(on variable: VariableDeclSyntax) -> [AttributeSyntax] {
            variable.attributes.compactMap { $0.as(AttributeSyntax.self) }.filter {
                ["Key", "Column", "Ignored", "Expires", "Index", "SQLIndex", "Unique"].contains(
                    $0.name)
            }
        }

        /// In `var a, b: Int` only the last binding has the type.
        private static func writtenType(
            of binding: PatternBindingSyntax, in variable: VariableDeclSyntax
        ) -> TypeSyntax? {
            if let type = binding.typeAnnotation?.type { return type.trimmed }
            guard binding.initializer == nil else { return nil }
            let following = variable.bindings.drop { $0.id != binding.id }
            return following.lazy.compactMap { $0.typeAnnotation?.type.trimmed }.first
        }

        /// `T!` may be written only as the type of a property itself, and means `T?` everywhere else.
        private static func withoutUnwrapping(_ type: TypeSyntax) -> TypeSyntax {
            guard let type = type.as(ImplicitlyUnwrappedOptionalTypeSyntax.self) else {
                return type
            }
            return TypeSyntax(OptionalTypeSyntax(wrappedType: type.wrappedType))
        }

        private static func isStored(_ binding: PatternBindingSyntax) -> Bool {
            switch binding.accessorBlock?.accessors {
            case nil: true
            case .getter: false
            case .accessors(let accessors):
                accessors.allSatisfy { ["willSet", "didSet"].contains($0.accessorSpecifier.text) }
            }
        }

        private mutating func read(_ attributes: AttributeListSyntax, _ mistakes: inout [Mistake]) {
            for case .attribute(let attribute) in attributes {
                switch attribute.name {
                case "Key": keyAttribute = attribute
                case "Expires": expiresAttribute = attribute
                case "Ignored": ignoredAttribute = attribute
                case "Index":
                    indexAttribute = attribute
                    if attribute.hasArguments {
                        mistakes.append(
                            Mistake(
                                attribute,
                                "an index over one property has the name of its column: write @Index "
                                    + "alone; one over several is declared before the struct"))
                    }
                case "SQLIndex", "Unique":
                    sqlAttributes.append(attribute)
                    if attribute.hasArguments {
                        mistakes.append(
                            Mistake(
                                attribute,
                                "before a property, write @\(attribute.name) alone; one over several "
                                    + "is declared before the struct"))
                    }
                case "Column":
                    columnAttribute = attribute
                    formerNames = attribute.texts("formerly", "a former name", &mistakes)
                    guard let argument = attribute.firstArgument else { continue }
                    givenName = argument.literalText
                    if givenName == nil {
                        mistakes.append(
                            Mistake(argument, "a column's name must be a string literal"))
                    }
                default: continue
                }
            }
        }
    }

    extension AttributeSyntax {
        var hasArguments: Bool {
            guard case .argumentList(let arguments) = arguments else { return false }
            return !arguments.isEmpty
        }

        /// The attribute's name without its module.
        var name: String {
            if let member = attributeName.as(MemberTypeSyntax.self) { return member.name.text }
            return attributeName.trimmedDescription
        }

        /// The first argument, if it has no label.
        var firstArgument: ExprSyntax? {
            guard case .argumentList(let arguments) = arguments, let first = arguments.first,
                first.label == nil
            else { return nil }
            return first.expression
        }

        /// The argument with this label.
        func argument(_ label: String) -> ExprSyntax? {
            guard case .argumentList(let arguments) = arguments else { return nil }
            return arguments.first { $0.label?.text == label }?.expression
        }

        /// The string literals of the argument with this label and of those after it, up to the next label.
        func texts(_ label: String, _ what: String, _ mistakes: inout [Mistake]) -> [String] {
            guard case .argumentList(let arguments) = arguments else { return [] }
            var texts: [String] = []
            for argument in arguments.drop(while: { $0.label?.text != label }) {
                if let other = argument.label?.text, other != label { break }
                if let text = argument.expression.literalText {
                    texts.append(text)
                } else {
                    mistakes.append(
                        Mistake(argument.expression, "\(what) must be a string literal"))
                }
            }
            return texts
        }
    }

    extension ExprSyntax {
        /// The text of a string literal without interpolation.
        var literalText: String? {
            self.as(StringLiteralExprSyntax.self)?.representedLiteralValue
        }
    }
#endif
