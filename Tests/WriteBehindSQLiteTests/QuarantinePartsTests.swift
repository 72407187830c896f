import EventLog
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// A group of quarantine that is too large for one commit is given up by several, each of a part of its rows.
@Suite struct QuarantinePartsTests {
    /// Of `[2, 3, 4]`, then `[3, 4, 5]`, the first is refused; 1 is in the way.
    private func group() throws -> SinkFixture {
        let fixture = try SinkFixture()
        try fixture.user("CREATE UNIQUE INDEX unique_name ON person (name)")
        try fixture.apply([.person(1, "Ann"), .person(3, "old"), .person(5, "old too")])
        try fixture.applyInOrder([
            [.person(2, "Ann"), .person(3, "Cy"), .person(4, "Di")],
            [.patch(3, [ColumnChange(column: 1, value: .integer(9))]), .delete(4), .delete(5)],
        ])
        #expect(fixture.sink.quarantine.commitCount == 2)
        return fixture
    }

    private func names(_ fixture: SinkFixture) throws -> [String] {
        try fixture.strings(
            "SELECT id || ' ' || ifnull(name, '-') || ' ' || age FROM person ORDER BY id")
    }

    private func held(_ sink: SQLiteSink) throws -> Set<Int64> {
        Set(
            try sink.quarantine.held.keys.map { key in
                guard case .row(_, let bytes) = key,
                    case .integer(let id) = try KeyCodec.decode(
                        bytes.span, SinkFixture.person.schema)[0]
                else { return -1 }
                return id
            })
    }

    @Test func eachPartLetsGoOfItsRowsAndTheLastOneEndsTheGroup() throws {
        let fixture = try group()
        let first = try #require(fixture.sink.quarantine.all.first?.firstSequence)
        try fixture.applyInOrder([[.settle(first, left: 2), .person(3, "old"), .delete(4)]])
        #expect(try held(fixture.sink) == [2, 5])
        #expect(fixture.sink.quarantine.all.map(\.firstSequence) == [first])
        let reopened = try SinkFixture.open(fixture.path)
        #expect(try held(reopened) == [2, 5])
        try reopened.close()
        try fixture.apply([.person(4, "free")])
        try fixture.applyInOrder([[.settle(first), .delete(2), .person(5, "old too")]])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(fixture.sink.quarantine.commitCount == 0 && fixture.sink.quarantine.all.isEmpty)
        #expect(try names(fixture) == ["1 Ann 1", "3 old 1", "4 free 1", "5 old too 1"])
    }

    /// As the log says: a later commit says what the rows are that were given up.
    @Test(arguments: [1, 2, 100]) func whatIsLeftOfAGroupCanBeRetried(atOnce: Int) throws {
        let fixture = try group()
        let first = try #require(fixture.sink.quarantine.all.first?.firstSequence)
        try fixture.applyInOrder([[.settle(first, left: 2), .person(3, "old"), .delete(4)]])
        try fixture.apply([.person(3, "newer", 7)])
        #expect(try fixture.retry(atOnce: atOnce) == 1, "the second commit does not touch row 2")
        #expect(try held(fixture.sink) == [2])
        try fixture.apply([.person(1, "Zoe")])
        try fixture.retry(atOnce: atOnce)
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try names(fixture) == ["1 Zoe 1", "2 Ann 1", "3 newer 7"])
    }

    /// The clear comes before the part, and would take what the part has put if it came after it.
    @Test func aPartIsNotTakenAheadOfAClear() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE UNIQUE INDEX unique_name ON person (name)")
        try fixture.applyInOrder([[.clear(1), .person(2, "Ann"), .person(6, "Ann")]])
        let first = try #require(fixture.sink.quarantine.all.first?.firstSequence)
        try fixture.applyInOrder([[.settle(first, left: 1), .person(6, "Bo")]])
        #expect(try fixture.quarantined().count == 2)
        try fixture.user("DROP INDEX unique_name")
        try fixture.retry()
        #expect(try names(fixture) == ["2 Ann 1", "6 Bo 1"])
    }

    /// What a retry has found refused again may be settled before the retry comes to its end.
    @Test(arguments: [false, true])
    func whatIsSettledDuringARetryStaysSettled(inParts: Bool) throws {
        let fixture = try group()
        let first = try #require(fixture.sink.quarantine.all.first?.firstSequence)
        var isSettled = false
        try fixture.retry(atOnce: 1) { tried in
            guard tried == 2, !isSettled else { return }
            isSettled = true
            let rows = try [
                Change.person(3, "right"), .delete(4), .person(2, "Bo"), .person(5, "Eve"),
            ]
            if inParts {
                try fixture.applyInOrder([
                    [.settle(first, left: 2)] + rows[..<2], [.settle(first)] + rows[2...],
                ])
            } else {
                try fixture.applyInOrder([rows])
            }
            #expect(fixture.sink.quarantineIsEmpty)
        }
        #expect(isSettled && fixture.sink.quarantineIsEmpty)
        try fixture.retry()
        #expect(try names(fixture) == ["1 Ann 1", "2 Bo 1", "3 right 1", "5 Eve 1"])
    }

    /// One commit that settles thousands of groups looks at its own rows once.
    @Test func oneCommitSettlesManyGroups() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE UNIQUE INDEX unique_name ON person (name)")
        try fixture.apply([.person(0, "poison")])
        let ids = 1...10_000 as ClosedRange<Int64>
        try fixture.applyInOrder(ids.map { [try .person($0, "poison")] })
        #expect(fixture.sink.quarantine.groups.count == ids.count)
        let start = processorTime()
        try fixture.applyInOrder([try ids.map { try .person($0, "p\($0)") }])
        #expect(processorTime() - start < .seconds(20))
        #expect(fixture.sink.quarantineIsEmpty)
    }
}
