#if Macros
    import SwiftSyntax

    // Which initial values are defaults: what older rows get in a column that was added.

    extension Property {
        /// The initial value, if older rows can get it as their column's default: the same at every run.
        var defaultValue: String? {
            guard let initialValue, initialValue.isConstant else { return nil }
            // Where the default is passed on it may be nil, and `.none` would be that, though the property's type may
            // call something else so.
            guard let type, initialValue.isImplicitMember, !isOptional,
                !type.is(ImplicitlyUnwrappedOptionalTypeSyntax.self)
            else { return "\(initialValue)" }
            return "\(initialValue) as \(type.trimmedDescription)"
        }
    }

    extension ExprSyntax {
        /// A literal, a negative one, an array or dictionary of such, a `.member`, a `Type.member`.
        fileprivate var isConstant: Bool {
            if let inner = withoutParentheses { return inner.isConstant }
            if let minus = self.as(PrefixOperatorExprSyntax.self) {
                return minus.operator.text == "-" && minus.expression.isConstant
            }
            if let member = self.as(MemberAccessExprSyntax.self) {
                // `.now` and the like are other values at each run, `.text` of an enum is not: the schema asks the
                // type for it once, and the log keeps what it was.
                return member.base.map(\.isTypeName) ?? true
                    && !["now", "init", "self"].contains(member.declName.baseName.text)
            }
            if let array = self.as(ArrayExprSyntax.self) {
                return array.elements.allSatisfy(\.expression.isConstant)
            }
            if let dictionary = self.as(DictionaryExprSyntax.self) {
                guard case .elements(let elements) = dictionary.content else { return true }
                return elements.allSatisfy { $0.key.isConstant && $0.value.isConstant }
            }
            if let text = self.as(StringLiteralExprSyntax.self) {
                return text.segments.allSatisfy { $0.is(StringSegmentSyntax.self) }
            }
            return self.is(IntegerLiteralExprSyntax.self) || self.is(FloatLiteralExprSyntax.self)
                || self.is(BooleanLiteralExprSyntax.self) || self.is(NilLiteralExprSyntax.self)
        }

        /// `.member`, whose meaning depends on the type that is expected there.
        fileprivate var isImplicitMember: Bool {
            if let inner = withoutParentheses { return inner.isImplicitMember }
            if let minus = self.as(PrefixOperatorExprSyntax.self) {
                return minus.expression.isImplicitMember
            }
            guard let member = self.as(MemberAccessExprSyntax.self) else { return false }
            return member.base == nil
        }

        /// `Kind`, `Post.Kind`: types have capital letters, and members of values do not.
        fileprivate var isTypeName: Bool {
            if let name = self.as(DeclReferenceExprSyntax.self) {
                return name.baseName.text.first?.isUppercase == true
            }
            guard let member = self.as(MemberAccessExprSyntax.self), let base = member.base else {
                return false
            }
            return base.isTypeName && member.declName.baseName.text.first?.isUppercase == true
        }

        /// What is in `(…)`; nil for anything else, a tuple as well.
        private var withoutParentheses: ExprSyntax? {
            guard let tuple = self.as(TupleExprSyntax.self), tuple.elements.count == 1,
                let element = tuple.elements.first, element.label == nil
            else { return nil }
            return element.expression
        }
    }
#endif
