#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// Columns that users added to a table that changes.
    extension ChangedTableTests {
        @Table("visit") struct Visit: Equatable {
            var id: Int
            var page = "-"
            var at: Date?
        }

        @Table("visit", dropping: "at") struct PlainVisit: Equatable {
            var id: Int
            var page = "-"
        }

        /// A STRICT table takes no column of such a type.
        @Test func aTableWhoseLastLogicalColumnIsDroppedKeepsWhatUsersAddedToIt() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Visit.self).put(Visit(id: 1, page: "a", at: .now))
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user("ALTER TABLE visit ADD COLUMN note VARCHAR(20)")
            try directory.user("UPDATE visit SET note = 'mine'")
            try store.table(PlainVisit.self).put(PlainVisit(id: 2, page: "b"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.causes == [])
            let notes = try await store.database.read {
                try String.fetchAll($0, sql: "SELECT note FROM visit WHERE note IS NOT NULL")
            }
            #expect(notes == ["mine"])
            try await store.close()
        }

        @Test(arguments: [
            "ALTER TABLE ship ADD COLUMN twice INT AS (length(note))",
            "ALTER TABLE ship ADD COLUMN own TEXT CHECK (note <> '' OR own IS NULL)",
        ])
        func aColumnThatAUsersColumnNeedsIsNotDropped(sql: String) async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Renamed.self).put(Renamed(id: 1, title: "A"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user(sql)
            try store.table(Renamed.self).put(Renamed(id: 2, title: "B"))
            try await store.waitForAll(.materialized, timeout: .hang)
            let error = await storeError { _ = try store.table(Dropped.self) }
            #expect(error?.description.contains("note") == true, "\(String(describing: error))")
            try store.table(Renamed.self).put(Renamed(id: 3, title: "C"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }
    }
#endif
