#if Macros
    import EventLog
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// Ids that the store gives to new rows: none twice.
    @Suite struct AssignedKeyTests {
        @Table("note") struct Note: Equatable {
            @Key(assigned: true) var id = 0
            var text = ""
        }

        @Table("note") struct Plain {
            var id: Int
            var text = ""
        }

        private let directory = TemporaryStore()

        @Test func anInsertReturnsItsRowWithTheNextId() async throws {
            let store = try directory.open()
            let notes = try store.table(Note.self)
            for id in 1...100 {
                let note = try await notes.insert(Note(text: "n\(id)"))
                #expect(note == Note(id: id, text: "n\(id)"))
                #expect(try await notes.get(id) == note)
            }
            let (given, _) = try await store.transaction { transaction in
                let first = try await transaction.insert(Note(text: "a"), in: notes)
                let second = try await transaction.insert(Note(text: "b"), in: notes)
                #expect(try await transaction.get(first.id, in: notes) == first)
                return [first.id, second.id]
            }
            #expect(given == [101, 102])
            try await store.close()
        }

        /// Rows were put with all ids that are tried, up to the highest.
        @Test func idsThatAreUsedUpAreAnError() async throws {
            let store = try directory.open()
            let notes = try store.table(Note.self)
            let plain = try store.table(Plain.self)
            var (id, step, isOver) = (1, 1, false)
            while !isOver {
                try plain.put(Plain(id: id))
                (id, isOver) = id.addingReportingOverflow(step + 1)
                step &*= 2
            }
            try plain.put(Plain(id: .max))
            let error = await storeError { _ = try await notes.insert(Note(text: "one more")) }
            guard case .row(let reason)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.table == "note" && reason.column == "id")
            try await store.close()
        }

        /// The highest is deleted, nothing holds its row any more, and the database and older log are gone.
        @Test func theHighestIdIsNotGivenAgainAfterItsRowIsGone() async throws {
            var store = try directory.open {
                $0.logKept = .zero
                $0.logBytesKept = 0
                $0.segmentSize = 64 << 10
            }
            let notes = try store.table(Note.self)
            let first = StoreLayout(root: directory.path).segment(1)
            var last = 0
            repeat {
                for _ in 0..<500 {
                    last = try await notes.insert(Note(text: UUID().uuidString)).id
                    try notes.delete(last)
                }
                try await store.waitForAll(.materialized, timeout: .hang)
                _ = try await store.snapshot()
            } while FileManager.default.fileExists(atPath: first)
            try await store.close()
            try FileManager.default.removeItem(atPath: directory.database)
            store = try directory.open()
            let next = try await store.table(Note.self).insert(Note()).id
            // It was closed, so there is no gap.
            #expect(next == last + 1)
            try await store.close()
        }

        @Test func afterACrashIdsGoOnBehindAllThatWereGiven() async throws {
            let store = try directory.open()
            let notes = try store.table(Note.self)
            var last = 0
            for round in 0..<6 {
                for _ in 0..<(1 << (2 * round)) {
                    last = try await notes.insert(Note()).id
                    try notes.delete(last)
                }
                try await store.waitForAll(.materialized, timeout: .hang)
                // What a process that is killed now leaves.
                let killed = TemporaryStore()
                try FileManager.default.copyItem(atPath: directory.path, toPath: killed.path)
                let recovered = try killed.open()
                let again = try recovered.table(Note.self)
                let next = try await again.insert(Note()).id
                #expect(next > last && next <= 3 * last + 64, "\(last), then \(next)")
                #expect(try await again.insert(Note()).id == next + 1)
                try await recovered.close()
            }
            try await store.close()
        }

        @Test func idsThatRowsHaveArePassedOver() async throws {
            let store = try directory.open()
            let plain = try store.table(Plain.self)
            for id in 1...1000 { try plain.put(Plain(id: id)) }
            let notes = try store.table(Note.self)
            let first = try await notes.insert(Note(text: "new")).id
            #expect(first > 1000)
            // One that is given by hand counts where it is in the way only.
            let own = try await notes.insert(Note(id: first + 1, text: "own"))
            #expect(own.id == first + 1)
            #expect(try await notes.insert(Note()).id == first + 3)
            let error = await storeError { _ = try await notes.insert(Note(id: 7)) as Note }
            guard case .duplicateKey? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await notes.get(first)?.text == "new")
            try await store.close()
        }

        @Test func manyAtOnceGetDifferentIds() async throws {
            let store = try directory.open()
            let notes = try store.table(Note.self)
            let ids = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        var ids: [Int] = []
                        for _ in 0..<50 { ids.append(try await notes.insert(Note()).id) }
                        return ids
                    }
                }
                return try await group.reduce(into: [Int]()) { $0 += $1 }
            }
            #expect(ids.sorted() == Array(1...1000))
            try await store.close()
            let error = await storeError { _ = try await notes.insert(Note()) as Note }
            #expect(error != nil)
        }
    }
#endif
