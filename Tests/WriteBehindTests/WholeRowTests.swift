#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindInspection

    /// A consumer gets whole rows, as each change left them, where the table's log has them.
    @Suite struct WholeRowTests {
        @Table("part", changes: .wholeRows) struct Part: Equatable {
            let id: Int
            var name: String
            var count = 0
            var note: String?
        }

        @Table("part") struct PlainPart {
            let id: Int
            var name: String
            var count = 0
            var note: String?
        }

        @Table("part", changes: .wholeRows) struct ColouredPart: Equatable {
            let id: Int
            var name: String
            var count = 0
            var note: String?
            var colour = "red"
        }

        /// It lacks the other columns.
        @Table("part", changes: .wholeRows) struct OldPart {
            let id: Int
            var name: String
        }

        private let directory = TemporaryStore()

        private func take<Row>(
            _ count: Int, of stream: RowChanges<Row>
        ) async throws -> [RowChange<Row>] {
            var changes: [RowChange<Row>] = []
            var iterator = stream.makeAsyncIterator()
            while changes.count < count, let change = try await iterator.next() {
                changes.append(change)
            }
            return changes
        }

        /// Everything is written, and gone from memory and changed again, before the first change is taken.
        @Test func aChangeSaysTheWholeRowAsItLeftIt() async throws {
            let store = try directory.open()
            let parts = try store.table(Part.self)
            let stream = store.changes(of: parts, named: "rows")
            let states = [
                Part(id: 1, name: "bolt"), Part(id: 1, name: "bolt", count: 5),
                Part(id: 1, name: "bolt", count: 5, note: "M8"),
                Part(id: 1, name: "nut", count: 7, note: "M8"),
                Part(id: 1, name: "nut", count: 7),
            ]
            try parts.put(states[0])
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try parts.evict(1))
            try await parts.increment(1, \.count, by: 5)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try parts.evict(1))
            try await parts.update(1) { $0.note = "M8" }
            try await store.transaction { transaction in
                try await transaction.update(1, in: parts) { $0.name = "nut" }
                try await transaction.increment(1, \.count, in: parts, by: 2)
            }
            try await parts.update(1) { $0.note = nil }
            try parts.delete(1)
            try parts.put(states[0])
            try parts.clear()

            let changes = try await take(9, of: stream)
            let between = Part(id: 1, name: "nut", count: 5, note: "M8")
            let after: [Part?] = [
                states[0], states[1], states[2], between, states[3], states[4], nil, states[0], nil,
            ]
            let before: [Part?] = [
                nil, states[0], states[1], states[2], between, states[3], nil, nil, nil,
            ]
            for (index, change) in changes.enumerated() {
                #expect(try change.new == after[index], "\(index)")
                #expect(try change.old == before[index], "\(index)")
            }
            // What changed is as it is without whole rows.
            #expect(try changes[1].columns == ["count": .integer(5)])
            #expect(try changes[1][\.count] == 5 && changes[1][\.name] == nil)
            #expect(try changes[5].columns == ["note": .null])
            #expect(try changes[5][\.note] == .some(nil))
            try await store.close(deadline: .hang)
        }

        /// The log is all that is left: rows are the same, and the consumer gets the same again.
        @Test func afterAKillRowsAndChangesAreTheSame() async throws {
            let store = try SteppedStore(directory)
            let id = try store.engine.declare(Part.schema, byName: true).id
            func body(_ values: [StoredValue]) throws -> (key: [UInt8], row: [UInt8]) {
                try RowCodec.encode(values, Part.schema)
            }
            let (key, row) = try body([.integer(1), .text("bolt"), .integer(0), .null])
            var commit = CommitBuilder()
            commit.append(.put, table: UInt16(id), key: key.span, body: row.span)
            try store.engine.commit(commit)
            for count in 1...3 as ClosedRange<Int64> {
                let (_, before) = try body([.integer(1), .text("bolt"), .integer(count - 1), .null])
                let change = ColumnChange(column: 1, value: .integer(count))
                let patch = try RowCodec.encodePatch([change], Part.schema)
                commit = CommitBuilder()
                commit.append(
                    .patch, table: UInt16(id), key: key.span, body: patch.span, before: before)
                try store.engine.commit(commit)
                if count == 2 { #expect(store.materialize()) }
            }
            store.flush()
            // One copy has lost its database, one has a row of it in memory only in part.
            for losesDatabase in [false, true] {
                let killed = try store.killed()
                if losesDatabase { try FileManager.default.removeItem(atPath: killed.database) }
                let again = try killed.open()
                let parts = try again.table(Part.self)
                #expect(try await parts.get(1) == Part(id: 1, name: "bolt", count: 3))
                let stream = again.changes(of: parts, named: "rows", from: .oldest)
                let changes = try await take(4, of: stream)
                #expect(try changes.map { try $0.new?.count } == [0, 1, 2, 3])
                #expect(try changes.map { try $0.old?.count } == [nil, 0, 1, 2])
                try await again.waitForAll(.materialized, timeout: .hang)
                let stored = try await again.database.read {
                    try Int.fetchOne($0, sql: "SELECT count FROM part")
                }
                #expect(stored == 3)
                let history = try await parts.history(of: 1)
                #expect(history.map(\.row?.count) == [0, 1, 2, 3])
                try await again.close(deadline: .hang)
                let verification = try LogVerification(StoreInspection(path: killed.path))
                #expect(verification.worst == nil, "\(verification.findings)")
            }
            try store.close()
        }

        @Test func theLastDeclarationCountsFromThenOn() async throws {
            let store = try directory.open()
            let plain = try store.table(PlainPart.self)
            let stream = store.changes(of: plain, named: "plain")
            try plain.put(PlainPart(id: 1, name: "bolt"))
            try await plain.update(1) { $0.count = 1 }
            let parts = try store.table(Part.self)
            // Also by a handle from before.
            try await plain.update(1) { $0.count = 2 }
            try await parts.update(1) { $0.count = 3 }
            _ = try store.table(PlainPart.self)
            try await parts.update(1) { $0.count = 4 }
            let changes = try await take(5, of: stream)
            #expect(try changes.map { try $0.new?.count } == [0, nil, 2, 3, nil])
            #expect(try changes.map { try $0.old?.count } == [nil, nil, 1, 2, nil])
            try await store.close(deadline: .hang)
            let next = try directory.open()
            #expect(next.engine.tables["part"]?.schema.changes == .columns)
            try await next.close(deadline: .hang)
        }

        /// The row before an update may lack columns that the table has by now, or has by then.
        @Test func rowsFromBeforeAColumnWasAddedHaveItsDefault() async throws {
            let store = try directory.open()
            let parts = try store.table(Part.self)
            let stream = store.changes(of: parts, named: "old", from: .oldest)
            try parts.put(Part(id: 1, name: "bolt"))
            try await parts.update(1) { $0.count = 1 }
            let coloured = try store.table(ColouredPart.self)
            try await coloured.update(1) { $0.colour = "blue" }
            try await parts.update(1) { $0.count = 2 }
            let new = store.changes(of: coloured, named: "new", from: .oldest)
            let changes = try await take(4, of: new)
            #expect(try changes.map { try $0.new?.colour } == ["red", "red", "blue", "blue"])
            #expect(try changes.map { try $0.old?.colour } == [nil, "red", "red", "blue"])
            #expect(try await take(4, of: stream).map { try $0.new?.count } == [0, 1, 1, 2])
            try await store.close(deadline: .hang)
        }

        /// A program that lacks columns cannot say a row that it has put itself, and then says nothing.
        @Test func noRowIsSaidOfWhichColumnsMayBeUnknown() async throws {
            let store = try directory.open()
            let parts = try store.table(Part.self)
            let old = try store.table(OldPart.self)
            let stream = store.changes(of: parts, named: "rows")
            try parts.put(Part(id: 1, name: "bolt", count: 5))
            try await old.update(1) { $0.name = "nut" }
            try await store.transaction { transaction in
                try transaction.put(OldPart(id: 1, name: "rivet"), in: old)
                try await transaction.update(1, in: old) { $0.name = "pin" }
            }
            try await parts.update(1) { $0.note = "x" }
            let changes = try await take(5, of: stream)
            #expect(try changes.map { try $0.new?.name } == ["bolt", "nut", nil, nil, "pin"])
            #expect(try changes.last?.new == Part(id: 1, name: "pin", count: 5, note: "x"))
            try await store.close(deadline: .hang)
        }

        @Test func anUpdateOfMoreThanHalfACommitIsRefused() async throws {
            let store = try directory.open()
            let parts = try store.table(Part.self)
            let long = String(repeating: "n", count: store.engine.log.commitLimit * 2 / 3)
            try parts.put(Part(id: 1, name: long))
            let error = await storeError { try await parts.update(1) { $0.name += "!" } }
            guard case .commitTooLarge? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await parts.update(1) { $0.count = 1 }
            #expect(try await parts.get(1) == Part(id: 1, name: long, count: 1))
            try await store.close(deadline: .hang)
        }

        /// What takes a commit back is an update as any other.
        @Test func anUndoneCommitSaysTheWholeRow() async throws {
            let store = try directory.open()
            let parts = try store.table(Part.self)
            try parts.put(Part(id: 1, name: "bolt"))
            let receipt = try await parts.update(1) { $0.name = "nut" }
            try await parts.update(1) { $0.count = 9 }
            try await store.close(deadline: .hang)
            let desk = try await UndoDesk(store: directory.path)
            _ = try await desk.apply(try await desk.plan(receipt.sequence))
            try await desk.close()
            let next = try directory.open()
            let again = try next.table(Part.self)
            let stream = next.changes(of: again, named: "rows", from: .oldest)
            let changes = try await take(4, of: stream)
            #expect(try changes.last?.new == Part(id: 1, name: "bolt", count: 9))
            #expect(try changes.last?.old == Part(id: 1, name: "nut", count: 9))
            try await next.close(deadline: .hang)
        }
    }
#endif
