#if Macros
    import Foundation
    import Testing
    import WriteBehind

    /// The values that older rows have in columns that were added to their struct.
    @Suite struct AddedColumnTests {
        @Table("level") struct Plain: Equatable {
            var id: Int
        }

        @Table("level") struct Grown: Equatable {
            // Names that only the struct has.
            enum Level: String { case none, low }
            enum Limits { static let most = 7 }
            struct Corner: Codable, Equatable {
                var x: Int
                static let standard = Corner(x: 3)
            }

            var id: Int
            var level: Level = .none
            var last: Kind = (.picture)
            var kind = Kind.picture
            var most = Int.max
            var limit = Limits.most
            var ratio: Double = -.pi
            var corner: Corner = .standard
            var other: Corner? = .standard
            var none: Corner?
            var maybe: Kind? = Kind.picture
            var seen: Date? = Date()
        }

        @Test func olderRowsHaveTheDefaultsOfTheirProperties() async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            try store.table(Plain.self).put(Plain(id: 1))
            // `Date()` is another one at each run: it is no default.
            let expected = Grown(id: 1, seen: nil)
            #expect(try await store.table(Grown.self).get(1) == expected)
            try await store.close()
            store = try directory.open()
            #expect(try await store.table(Grown.self).get(1) == expected)
            let defaults: [StoredValue?] = [
                nil, .text("none"), .text("picture"), .text("picture"), .integer(.max),
                .integer(7), .real(-.pi), .text(#"{"x":3}"#), .text(#"{"x":3}"#), nil,
                .text("picture"), nil,
            ]
            #expect(Grown.schema.columns.map(\.defaultValue) == defaults)
            let optional = Grown.schema.columns.filter { $0.isNullable }
            #expect(optional.map { $0.name } == ["other", "none", "maybe", "seen"])
            try await store.close()
        }

        @Table("wide") struct Fit {
            var id: Int
            var big: UInt64 = 0
        }

        @Table("wide") struct Unfit {
            var id: Int
            var big: UInt64 = .max
        }

        @Table("wide") struct Doubtful {
            var id: Int
            var big: UInt64 = 0
            var ratio: Double? = .nan
        }

        private func refusal<R: TableRow>(_ type: R.Type, _ store: Store) async -> String {
            await storeError { _ = try store.table(type) }.map { "\($0)" } ?? "none"
        }

        @Test func aDefaultThatItsColumnCannotHoldIsRefusedByName() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let tooWide =
                #"table "wide", column "big": the default cannot be stored, so give another: the column cannot hold "#
                + "18446744073709551615, which exceeds 64 bits with a sign"
            #expect(await refusal(Unfit.self, store) == tooWide)
            _ = try store.table(Fit.self)
            #expect(await refusal(Unfit.self, store) == tooWide)
            // Null would be in older rows instead.
            let ratio = await refusal(Doubtful.self, store)
            #expect(ratio.contains(#"column "ratio": the default cannot be stored"#), "\(ratio)")
            try await store.close()
        }
    }
#endif
