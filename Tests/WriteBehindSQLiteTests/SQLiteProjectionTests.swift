import EventLog
import GRDB
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// A projection seen from the database alone.
@Suite struct SQLiteProjectionTests {
    private let calls = Locked<[RowTransition]>([])

    /// Declares a projection of the persons, and has it built.
    private func project(_ fixture: SinkFixture) throws {
        declare(fixture)
        while try fixture.sink.buildProjections() == .stepAgain {}
        #expect(fixture.sink.projections?.first?.phase == .current)
    }

    private func declare(_ fixture: SinkFixture) {
        let effects = ProjectionEffects { _ in
        } apply: { [calls] change, _ in
            calls.withLock { $0.append(change) }
        }
        #expect(
            fixture.sink.registry.declare(
                ProjectionDeclaration(
                    name: "p", version: 1, table: SinkFixture.person.id, effects: effects)))
    }

    /// A batch may have been gathered before the projection was declared. Applied in order, its changes are seen.
    @Test func aBatchOfAFollowedTableIsRefusedAsAWhole() throws {
        let fixture = try SinkFixture()
        try project(fixture)
        #expect(fixture.sink.orderedTables.contains(SinkFixture.person.id))
        #expect(!fixture.sink.orderedTables.contains(SinkFixture.visit.id))
        #expect(
            refusal { try fixture.apply([.visit("mon", 1, person: 2), .person(1, "Ann")]) }
                == .constraint)
        #expect(refusal { try fixture.apply([], cleared: [1]) } == .constraint)
        fixture.sequence -= 2
        #expect(try fixture.strings("SELECT day FROM visit").isEmpty)
        try fixture.apply([.visit("mon", 1, person: 2)])
        try fixture.applyInOrder([[.person(1, "Ann")], [.delete(1)]])
        #expect(calls.withLock { $0.map(\.operation) } == [.put, .delete])
        #expect(calls.withLock { $0.map(\.sequence) } == [4, 5])
        #expect(calls.withLock { $0[1].old == $0[0].new && $0[1].new == nil })
    }

    /// The rest of a commit in quarantine keeps its sequences when a part of it was given up.
    @Test func aPartOfACommitThatLeavesQuarantineHasItsOwnSequences() throws {
        var commit = OrderedCommit(
            firstSequence: 7, recordCount: 3,
            records: try [Change.person(2, "Bo")].flatMap(\.record))
        commit.sequences = [9]
        let fixture = try SinkFixture()
        try project(fixture)
        _ = try fixture.sink.applyInOrder([commit], through: fixture.at(9))
        #expect(calls.withLock { $0.map(\.sequence) } == [9])
    }

    // MARK: memory

    @Test func aPageOfTheBuildHasABoundInBytes() throws {
        let fixture = try SinkFixture()
        let name = String(repeating: "n", count: 300 << 10)
        try fixture.apply((0..<20).map { try .person($0, name) })
        declare(fixture)
        #expect(try fixture.sink.buildProjections() == .stepAgain)
        #expect(fixture.sink.projections?.first?.phase == .building(rows: 4))
        while try fixture.sink.buildProjections() == .stepAgain {}
        #expect(fixture.sink.projections?.first?.phase == .current)
        #expect(calls.withLock(\.count) == 20)
    }

    @Test func aTransactionTooLongForMemoryLetsTheBuildBeginAnew() throws {
        let now = Locked<Int64>(1_700_000_000_000_000)
        let fixture = try SinkFixture { now.withLock(\.self) }
        try fixture.apply((0..<1000).map { try .person($0, "p") })
        declare(fixture)
        #expect(try fixture.sink.buildProjections() == .stepAgain)
        let name = String(repeating: "n", count: 8 << 20)
        try fixture.applyInOrder((0..<7).map { [try .person($0, name)] })
        #expect(fixture.sink.projections?.first?.phase == .building(rows: 512))
        try fixture.applyInOrder((0..<4).map { [try .person($0, name)] })
        let status = try #require(fixture.sink.projections?.first)
        #expect(status.phase == .building(rows: 0))
        #expect(status.failure?.message.contains("64 MiB") == true)
        guard case .wait = try fixture.sink.buildProjections() else {
            Issue.record("it is tried again at once")
            return
        }
        now.withLock { $0 += 1_000_000 }
        calls.withLock { $0 = [] }
        while try fixture.sink.buildProjections() == .stepAgain {}
        #expect(fixture.sink.projections?.first?.phase == .current)
        #expect(fixture.sink.projections?.first?.failure == nil)
        #expect(calls.withLock(\.count) == 1000)
    }
}
