#if Macros
    import SwiftSyntax

    // Initial values that are defaults: older rows get them when a column is added.

    extension Property {
        /// The initial value, if it can be the column's default for older rows, because it is the same at every run.
        var defaultValue: String? {
            guard let initialValue, initialValue.isConstant else { return nil }
            // The default is passed on as an optional. There `.none` would mean nil, but the property's type may have
            // a `.none` of its own.
            guard let type, initialValue.isImplicitMember, !isOptional else {
                return "\(initialValue)"
            }
            return "\(initialValue) as \(type.trimmedDescription)"
        }
    }

    extension ExprSyntax {
        /// Whether it is a literal, a negative literal, an array or dictionary of constants, a `.member` or a `Type.member`.
        fileprivate var isConstant: Bool {
            if let inner = withoutParentheses { return inner.isConstant }
            if let minus = self.as(PrefixOperatorExprSyntax.self) {
                return minus.operator.text == "-" && minus.expression.isConstant
            }
            if let member = self.as(MemberAccessExprSyntax.self) {
                // `.now` has another value at each run; `.text` of an enum always has the same. The schema evaluates the
                // default once, and the log keeps its value.
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

        /// Whether it is `.member`, whose meaning depends on the type that is expected there.
        fileprivate var isImplicitMember: Bool {
            if let inner = withoutParentheses { return inner.isImplicitMember }
            if let minus = self.as(PrefixOperatorExprSyntax.self) {
                return minus.expression.isImplicitMember
            }
            guard let member = self.as(MemberAccessExprSyntax.self) else { return false }
            return member.base == nil
        }

        /// Whether it is a type such as `Kind` or `Post.Kind`: types begin with a capital letter, members of values do not.
        fileprivate var isTypeName: Bool {
            if let name = self.as(DeclReferenceExprSyntax.self) {
                return name.baseName.text.first?.isUppercase == true
            }
            guard let member = self.as(MemberAccessExprSyntax.self), let base = member.base else {
                return false
            }
            return base.isTypeName && member.declName.baseName.text.first?.isUppercase == true
        }

        /// The expression in `(…)`; nil for anything else, also for a tuple.
        private var withoutParentheses: ExprSyntax? {
            guard let tuple = self.as(TupleExprSyntax.self), tuple.elements.count == 1,
                let element = tuple.elements.first, element.label == nil
            else { return nil }
            return element.expression
        }
    }
#endif
