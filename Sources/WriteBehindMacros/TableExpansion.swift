#if Macros
    import SwiftSyntax
    import SwiftSyntaxBuilder

    // The code that `@Table` writes.

    extension TableDeclaration {
        /// `typealias Key = …`, or a struct for a key of several columns.
        var keyDeclaration: DeclSyntax {
            let parts = key.map { (name: $0.identifier.text, type: $0.evidentType ?? "Never") }
            if parts.count == 1 {
                return "\(raw: access)typealias Key = \(raw: parts[0].type)"
            }
            let properties = parts.map { "    \(access)var \($0.name): \($0.type)" }
            let parameters = parts.map { "\($0.name): \($0.type)" }.joined(separator: ", ")
            let assignments = parts.map { "        self.\($0.name) = \($0.name)" }
            let encoding = parts.map { "        encoder.encode(self.\($0.name))" }
            let decoding = parts.map { "        self.\($0.name) = try decoder.decode()" }
            return """
                \(raw: access)struct Key: RowKey, Hashable {
                \(raw: properties.joined(separator: "\n"))
                    \(raw: access)init(\(raw: parameters)) {
                \(raw: assignments.joined(separator: "\n"))
                    }
                    \(raw: access)func encode(to encoder: inout KeyEncoder) {
                \(raw: encoding.joined(separator: "\n"))
                    }
                    \(raw: access)init(from decoder: inout RowDecoder) throws {
                \(raw: decoding.joined(separator: "\n"))
                    }
                }
                """
        }

        /// The columns outside the key, for key paths such as `\.likes`.
        var columnsDeclaration: DeclSyntax {
            let outside = columns.filter { !isKey($0) }
            let ofColumns = outside.enumerated().compactMap { index, property -> String? in
                // The property's type may be private, and a property that more code can see could not have that type.
                if property.isPrivate { return nil }
                // Not more visible than the property, because the property's type may be internal.
                let access =
                    access == "public " ? property.access : property.access.isEmpty ? "" : access
                let name = property.identifier.text
                let path = "TableColumn(\(index), \\\(typeName).\(name))"
                // A computed property, because the compiler folds it to a number. If the type is not written, it must be
                // inferred from a value.
                return property.evidentType.map { type in
                    "    \(access)var \(name): TableColumn<\(typeName), \(type)> { \(path) }"
                } ?? "    \(access)let \(name) = \(path)"
            }
            let lines = ofColumns + indices.map { declaration(of: $0) }
            return """
                \(raw: access)struct StoredColumns: TableColumns {
                \(raw: lines.joined(separator: "\n"))
                    \(raw: access)init() {}
                }
                """
        }

        /// An index over several columns.
        private func declaration(of index: IndexDeclaration) -> String {
            let access = index.columns.map(\.access).contains("") ? "" : access
            let types = index.columns.compactMap(\.evidentType)
            let name = index.identifier
            let text = literal(index.name)
            if types.count == index.columns.count {
                let list = ([typeName, types[0]] + types).joined(separator: ", ")
                return "    \(access)var \(name): TableIndex<\(list)> { TableIndex(\(text)) }"
            }
            let paths = (index.columns.prefix(1) + index.columns).map {
                "\\\(typeName).\($0.identifier.text)"
            }
            return
                "    \(access)let \(name) = TableIndex(\(text), \(paths.joined(separator: ", ")))"
        }

        /// The arguments of the schema for indices and changes.
        private var otherDefinitions: String {
            let ofColumns = columns.filter { $0.indexAttribute != nil }.map { literal($0.column) }
            let ofSeveral = indices.map { index in
                let columns = index.columns.map { literal($0.column) }.joined(separator: ", ")
                return "\(literal(index.name)), on: \(columns)"
            }
            let all = (ofColumns + ofSeveral).map { "IndexDefinition(\($0))" }
            let indices = all.isEmpty ? "" : ", indices: [\(all.joined(separator: ", "))]"
            let ofSQL = sqlIndices.map { index in
                let columns = index.columns.map { literal($0.column) }.joined(separator: ", ")
                return "SQLIndexDefinition(\(columns)\(index.isUnique ? ", unique: true" : ""))"
            }
            return indices
                + (ofSQL.isEmpty ? "" : ", sqlIndices: [\(ofSQL.joined(separator: ", "))]")
                + (changes.map { ", changes: \($0)" } ?? "")
        }

        /// The schema. It is in the struct itself, so that names in default values keep their meaning.
        var schemaDeclaration: DeclSyntax {
            let lines = columns.map { property in
                let path = "\\\(typeName).\(property.identifier.text)"
                var arguments = [literal(property.column), path]
                if isKey(property) {
                    arguments.append("isKey: true")
                } else if let value = property.defaultValue {
                    arguments.append("default: \(value)")
                }
                let kind = property.expiresAttribute == nil ? "stored" : "expiry"
                let names = property.formerNames.map(literal).joined(separator: ", ")
                let former = names.isEmpty ? "" : ".formerly(\(names))"
                return "    .\(kind)(\(arguments.joined(separator: ", ")))\(former),"
            }
            var others = expiry.map { ", expiry: \(literal($0.column))" } ?? ""
            if !droppedColumns.isEmpty {
                others += ", dropping: [\(droppedColumns.map(literal).joined(separator: ", "))]"
            }
            return """
                \(raw: access)static let schema = TableSchema(\(raw: literal(tableName)), [
                \(raw: lines.joined(separator: "\n"))
                ]\(raw: others)\(raw: otherDefinitions))
                """
        }

        func conformance(of type: String) throws -> ExtensionDeclSyntax {
            let encoding = columns.map { property in
                let method = property.expiresAttribute == nil ? "encode" : "encodeSeconds"
                return "        encoder.\(method)(self.\(property.identifier.text))"
            }
            let decoding = columns.map { property in
                let method = property.expiresAttribute == nil ? "decode" : "decodeSeconds"
                return "        self.\(property.identifier.text) = try decoder.\(method)()"
            }
            let protocols = assignedKey == nil ? "TableRow" : "TableRow, AssignedKeyRow"
            let ofKey =
                assignedKey.map { property in
                    let name = property.identifier.text
                    return """

                            \(access)var assignedKey: Int {
                                get { self.\(name) }
                                set { self.\(name) = newValue }
                            }
                        """
                } ?? ""
            return try ExtensionDeclSyntax(
                """
                extension \(raw: type): \(raw: protocols) {
                    \(raw: access)func encode(to encoder: inout RowEncoder) {
                \(raw: encoding.joined(separator: "\n"))
                    }
                    \(raw: access)init(from decoder: inout RowDecoder) throws {
                \(raw: decoding.joined(separator: "\n"))
                    }\(raw: ofKey)
                }
                """)
        }

        /// A string literal with escapes where they are needed.
        private func literal(_ text: String) -> String {
            StringLiteralExprSyntax(content: text).description
        }
    }
#endif
