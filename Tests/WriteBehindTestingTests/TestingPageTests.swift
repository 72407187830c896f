#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindTesting

    // The code of the page "Testing code that uses a store": all of it must be here.

    enum TestingPage {
        @Table struct Visit {
            let id: String
            var count = 0
            @Expires var until: Date?
        }

        struct Visits {
            let store: Store
            let table: StoredTable<Visit>

            init(_ store: Store) throws {
                self.store = store
                table = try store.table(Visit.self)
            }

            func count(_ name: String, until: Date) async throws -> Int {
                let first = Visit(id: name, count: 1, until: until)
                return try await table.increment(name, \.count, orPut: first).value
            }
        }
    }

    @Suite struct TestingPageTests {
        typealias Visits = TestingPage.Visits

        @Test func whatThePageDoesWorks() async throws {
            let clock = TestClock(date: Date(timeIntervalSince1970: 1_800_000_000))
            let store = try Store.inMemory(clock: clock)
            let visits = try Visits(store)
            let tomorrow = clock.date.addingTimeInterval(24 * 3600)
            #expect(try await visits.count("ada", until: tomorrow) == 1)
            #expect(try await visits.count("ada", until: tomorrow) == 2)

            clock.advance(by: .seconds(1))  // the database follows
            let inSQL = try await store.database.read { db in
                try Int.fetchOne(db, sql: "SELECT count FROM visit")
            }
            #expect(inSQL == 2)

            clock.advance(by: .seconds(24 * 3600))  // the row expires
            #expect(try await visits.table.get("ada") == nil)

            let later = clock.date.addingTimeInterval(24 * 3600)
            store.fail(.database(.busy))  // another process has it locked
            #expect(try await visits.count("bo", until: later) == 1)
            clock.advance(by: .seconds(10))
            #expect(store.health.verdict == .degraded)
            store.stopFailing()
            clock.advance(by: .seconds(60))
            #expect(store.health.verdict == .healthy)

            let reopened = try store.crash()
            let again = try Visits(reopened)
            #expect(try await again.count("bo", until: later) == 2)
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            #expect(try PageCode.missing(from: #filePath, of: "Testing.md") == [])
        }
    }
#endif
