#if Macros
    import SwiftSyntax

    // The rules that a struct must obey to be a table. Each mistake is reported at its place, with a fix if possible.

    extension TableDeclaration {
        func check(_ structure: StructDeclSyntax, _ mistakes: inout [Mistake]) {
            for property in columns {
                if property.isIgnored {
                    checkIgnored(property, &mistakes)
                } else {
                    checkConstant(property, &mistakes)
                }
            }
            let stored = columns.filter { !$0.isIgnored }
            checkNames(stored, &mistakes)
            checkExpiry(stored, &mistakes)
            checkIndices(stored, &mistakes)
            checkKey(stored, structure, &mistakes)
        }

        private func checkIgnored(_ property: Property, _ mistakes: inout [Mistake]) {
            let others =
                [
                    property.keyAttribute, property.columnAttribute, property.expiresAttribute,
                    property.indexAttribute,
                ].compactMap(\.self) + property.sqlAttributes
            for other in others {
                mistakes.append(
                    Mistake(
                        other,
                        "'\(property.name)' is @Ignored, so it is no column that "
                            + "\(other.trimmedDescription) could say something of: remove one of the two"
                    ))
            }
            guard property.initialValue == nil, !(property.isOptional && !property.isConstant)
            else {
                return
            }
            mistakes.append(
                Mistake(
                    property.binding,
                    "'\(property.name)' is @Ignored, so a row that is read has no value for it: "
                        + "give it one here",
                    fix: .replace(
                        property.binding, by: property.binding.withValuePlaceholder,
                        "give it a value")))
        }

        private func checkConstant(_ property: Property, _ mistakes: inout [Mistake]) {
            guard property.isConstant, property.initialValue != nil else { return }
            let keyword = property.declaration.bindingSpecifier
            mistakes.append(
                Mistake(
                    keyword,
                    "'\(property.name)' is a constant with a value, so no other could be read into it: "
                        + "make it a variable, or remove its value",
                    fix: .replace(
                        keyword, by: keyword.with(\.tokenKind, .keyword(.var)), "make it a variable"
                    )))
        }

        private func checkNames(_ stored: [Property], _ mistakes: inout [Mistake]) {
            for property in columns where property.name == "schema" {
                mistakes.append(
                    Mistake(
                        property.binding,
                        "@Table makes a 'schema' of its own: give the property another name, "
                            + "and its column this one with @Column(\"schema\")"))
            }
            var names: Set<String> = []
            for property in stored where !names.insert(property.column.lowercased()).inserted {
                mistakes.append(
                    Mistake(
                        property.binding,
                        "two columns are called '\(property.column)', where SQL does not tell "
                            + "upper from lower case: give one another name with @Column"))
            }
        }

        private func checkExpiry(_ stored: [Property], _ mistakes: inout [Mistake]) {
            let expiring = stored.filter { $0.expiresAttribute != nil }
            for property in expiring.dropFirst() {
                mistakes.append(
                    Mistake(
                        property.binding,
                        "a row expires once: '\(expiring[0].name)' is marked @Expires already",
                        fix: property.expiresAttribute.map {
                            .remove($0, from: property.declaration)
                        }))
            }
            for property in expiring where property.keyAttribute != nil {
                mistakes.append(
                    Mistake(
                        property.binding,
                        "a column of the key cannot say when its row expires: "
                            + "mark a property outside the key @Expires"))
            }
        }

        private func checkKey(
            _ stored: [Property], _ structure: StructDeclSyntax, _ mistakes: inout [Mistake]
        ) {
            let marked = stored.filter { $0.keyAttribute != nil }
            let key = marked.isEmpty ? stored.filter { $0.name == "id" } : marked
            if key.isEmpty {
                mistakes.append(
                    Mistake(
                        structure.name,
                        "a row is found by its key: name a property 'id', or mark one or more @Key",
                        fix: stored.first.map { .add("Key", to: $0.declaration) }))
            }
            for property in key where property.isAssigned {
                let isFine =
                    key.count == 1 && property.evidentType == "Int" && !property.isConstant
                    && property.initialValue != nil
                if isFine { continue }
                mistakes.append(
                    Mistake(
                        property.binding,
                        "the store gives ids to rows with one key that is an Int: "
                            + "write @Key(assigned: true) var \(property.name) = 0"))
            }
            for property in key {
                if property.isOptional {
                    mistakes.append(
                        Mistake(
                            property.binding,
                            "a key is never nil: '\(property.name)' cannot be optional",
                            fix: property.binding.typeAnnotation?.type.as(OptionalTypeSyntax.self)
                                .map {
                                    .replace(
                                        $0,
                                        by: $0.wrappedType.with(
                                            \.trailingTrivia, $0.trailingTrivia),
                                        "make it not optional")
                                }))
                }
                if property.evidentType == nil {
                    mistakes.append(
                        Mistake(
                            property.binding,
                            "the type of the key '\(property.name)' must be written down",
                            fix: .replace(
                                property.binding, by: property.binding.withTypePlaceholder,
                                "write its type")))
                }
            }
        }
    }

    extension PatternBindingSyntax {
        fileprivate var withValuePlaceholder: PatternBindingSyntax {
            let value = InitializerClauseSyntax(
                equal: .equalToken(leadingTrivia: .space, trailingTrivia: .space),
                value: DeclReferenceExprSyntax(baseName: .identifier("<#value#>")))
            var fixed = self
            fixed.trailingTrivia = []
            return fixed.with(\.initializer, value.with(\.trailingTrivia, trailingTrivia))
        }

        fileprivate var withTypePlaceholder: PatternBindingSyntax {
            let placeholder = TypeAnnotationSyntax(
                colon: .colonToken(trailingTrivia: .space),
                type: IdentifierTypeSyntax(name: .identifier("<#Type#>"), trailingTrivia: .space))
            return with(\.pattern.trailingTrivia, []).with(\.typeAnnotation, placeholder)
        }
    }
#endif
