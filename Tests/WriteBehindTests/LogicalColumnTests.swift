#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// Columns of a struct whose types mean more than what is stored, in the database.
    @Suite struct LogicalColumnTests {
        @Table("parcel") struct Parcel: Equatable {
            var id: UUID
            var isOpen = true
            var sent: Date
            var price: Decimal
            var contents: [String] = []
            var code: Int?
            @Expires var until: Date?
        }

        /// The same columns, coded by hand: nothing says what they mean.
        struct Plain: TableRow {
            typealias Key = UUID
            static let schema = WriteBehind.TableSchema(
                "parcel",
                [
                    .key("id", .blob), .column("isOpen", .integer, default: .integer(1)),
                    .column("sent", .text), .column("price", .text),
                    .column("contents", .text, default: .text("[]")),
                    .column("code", .integer, nullable: true),
                    .column("until", .integer, nullable: true),
                ], expiry: "until")
            var parcel: Parcel
            func encode(to encoder: inout RowEncoder) { parcel.encode(to: &encoder) }
            init(_ parcel: Parcel) { self.parcel = parcel }
            init(from decoder: inout RowDecoder) throws { parcel = try Parcel(from: &decoder) }
        }

        /// Numbers that NUMERIC affinity would change: `1.50` to 1.5, a long one to a real.
        static let prices = ["1.50", "007", "12345678901234567890.123", "1e3"].map {
            Decimal(string: $0) ?? 0
        }

        private static func parcel(_ number: UInt8, _ price: Decimal) -> Parcel {
            let bytes = [UInt8](repeating: number, count: 16)
            return Parcel(
                id: bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) },
                isOpen: number % 2 == 0, sent: Date(timeIntervalSince1970: Double(number)),
                price: price, contents: ["\(number)"], code: Int(number))
        }

        private func types(_ store: Store) async throws -> [String] {
            try await store.database.read { db in
                try Row.fetchAll(db, sql: "PRAGMA table_info(parcel)").map {
                    "\($0["name"] as String) \($0["type"] as String)"
                }
            }
        }

        private static let declared = [
            "id UUID BLOB", "isOpen BOOLEAN INTEGER", "sent TIMESTAMP TEXT", "price DECIMAL TEXT",
            "contents JSON TEXT", "code INTEGER", "until TIMESTAMP INTEGER",
        ]

        @Test func aDeclaredTypeNamesTheMeaningAndKeepsTheStorage() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let parcels = try store.table(Parcel.self)
            for (number, price) in Self.prices.enumerated() {
                try parcels.put(Self.parcel(UInt8(number), price))
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await types(store) == Self.declared)
            let stored = try await store.database.read { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        SELECT typeof(id) || typeof(isOpen) || typeof(sent) || typeof(price)
                          || typeof(contents) || typeof(code), price FROM parcel ORDER BY id
                        """
                ).map { "\($0[0] as String) \($0[1] as String)" }
            }
            #expect(
                stored == Self.prices.map { "blobintegertexttexttextinteger \($0)" })
            for (number, price) in Self.prices.enumerated() {
                let parcel = Self.parcel(UInt8(number), price)
                try parcels.evict(parcel.id)
                #expect(try await parcels.get(parcel.id) == parcel)
            }
            try await store.close()
        }

        @Test func theMeaningMayComeLaterAndChangesNoRow() async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            try store.table(Plain.self).put(Plain(Self.parcel(1, 2)))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await types(store).contains("sent TEXT"))
            try directory.user(
                """
                CREATE INDEX by_price ON parcel (price);
                CREATE VIEW open AS SELECT sent FROM parcel WHERE isOpen;
                CREATE TABLE seen (id BLOB REFERENCES parcel (id));
                CREATE TRIGGER see AFTER INSERT ON parcel BEGIN
                  INSERT INTO seen VALUES (NEW.id); END;
                """)
            let parcels = try store.table(Parcel.self)
            try parcels.put(Self.parcel(2, 3))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await types(store) == Self.declared)
            // A program from before goes on beside it.
            try store.table(Plain.self).put(Plain(Self.parcel(4, 4)))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await types(store) == Self.declared)
            let counts = try await store.database.read { db in
                try [
                    "seen", "open", "parcel INDEXED BY by_price WHERE price > ''",
                    "pragma_integrity_check WHERE integrity_check = 'ok'",
                ].map { try Int.fetchOne(db, sql: "SELECT count(*) FROM \($0)") }
            }
            #expect(counts == [2, 2, 3, 1])
            try await store.close()
            store = try directory.open()
            let reopened = try store.table(Parcel.self)
            for number: UInt8 in [1, 2, 4] {
                let parcel = Self.parcel(number, number == 1 ? 2 : number == 2 ? 3 : 4)
                #expect(try await reopened.get(parcel.id) == parcel)
            }
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }
    }
#endif
