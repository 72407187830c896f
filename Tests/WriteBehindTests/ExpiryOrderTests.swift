#if Macros
    import EventLog
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// Ordered reads by the date at which rows expire, which is stored as seconds.
    @Suite struct ExpiryOrderTests {
        @Table @Index("byOwner", on: "owner", "until") struct Pass: Equatable {
            var id: Int
            var owner = "Ada"
            @Expires @Index var until: Date?
        }

        @Table struct Lease {
            var id: Int
            @Expires @Index var until: Date
        }

        private let directory = TemporaryStore()
        private let day = Date(timeIntervalSince1970: 4_000_000_000)

        @Test func boundsAreDates() async throws {
            let store = try directory.open()
            let passes = try store.table(Pass.self)
            for id in 1...5 { try passes.put(Pass(id: id, until: day + Double(id))) }
            try passes.put(Pass(id: 6, owner: "Bo", until: nil))
            let later = try await passes.range(in: \.until, from: day + 3, limit: 9)
            #expect(later.rows.map(\.id) == [3, 4, 5])
            let all = try await passes.range(in: \.until, from: .now, limit: 9)
            #expect(all.rows.map(\.id) == [1, 2, 3, 4, 5])
            #expect(try await passes.count(in: \.until, from: day + 2, through: day + 4) == 3)
            #expect(try await passes.count(in: \.until, of: nil) == 1)
            #expect(try await passes.count(in: \.until, of: day + 5) == 1)
            let two = try await passes.range(
                in: \.byOwner, from: ("Ada", day + 4), through: ("Ada", day + 9), limit: 9)
            #expect(two.rows.map(\.id) == [4, 5])
            #expect(
                try await passes.range(in: \.byOwner, of: "Bo", limit: 9).rows.map(\.id) == [6])
            try await store.close(deadline: .hang)
        }

        /// Both are rounded up to whole seconds.
        @Test func aBoundIsRoundedAsAValueIs() async throws {
            let store = try directory.open()
            let leases = try store.table(Lease.self)
            let dates = [-0.5, 0, 0.25, 0.75, 1].map { day + $0 }
            for (id, date) in dates.enumerated() { try leases.put(Lease(id: id, until: date)) }
            for (id, date) in dates.enumerated() {
                let same = try await leases.range(in: \.until, of: date, limit: 9)
                #expect(same.rows.map(\.id).contains(id))
                let behind = try await leases.range(in: \.until, from: date, limit: 9)
                #expect(behind.rows.map(\.id).contains(id))
                let before = try await leases.range(in: \.until, through: date, limit: 9)
                #expect(before.rows.map(\.id).contains(id))
            }
            #expect(try await leases.count(in: \.until, from: day + 0.5) == 3)
            #expect(try await leases.count(in: \.until, through: day) == 2)
            try await store.close(deadline: .hang)
        }

        @Test func theEndsOfTimeAreBounds() async throws {
            let store = try directory.open()
            let leases = try store.table(Lease.self)
            try leases.put(Lease(id: 1, until: day))
            let all = try await leases.range(
                in: \.until, from: .distantPast, through: .distantFuture, limit: 9)
            #expect(all.rows.map(\.id) == [1])
            let error = await storeError {
                _ = try await leases.count(in: \.until, from: Date(timeIntervalSince1970: 1e300))
            }
            guard case .row(let reason)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.column == "until")
            try await store.close(deadline: .hang)
        }
    }
#endif
