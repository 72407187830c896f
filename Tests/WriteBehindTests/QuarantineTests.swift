import EventLog
import GRDB
import Testing
import WriteBehind

@Suite struct QuarantineTests {
    /// A database in which two people must not have one name.
    private func uniqueNames() throws -> SinkFixture {
        let fixture = try SinkFixture()
        try fixture.user("CREATE UNIQUE INDEX unique_name ON person (name)")
        return fixture
    }

    private func names(_ fixture: SinkFixture) throws -> [String] {
        try fixture.strings("SELECT id || ' ' || ifnull(name, '-') FROM person ORDER BY id")
    }

    @Test func namesExchangedBetweenRowsNeedTheOriginalOrder() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann"), .person(2, "Bo")])
        let coalesced = try [Change.person(1, "Bo"), .person(2, "Ann")]
        #expect(refusal { try fixture.apply(coalesced) } == .constraint)
        fixture.sequence = 3
        let refused = try fixture.applyInOrder([
            [.person(1, nil)], [.person(2, "Ann")], [.person(1, "Bo")],
        ])
        #expect(refused.isEmpty)
        #expect(try names(fixture) == ["1 Bo", "2 Ann"])
        #expect(try fixture.sink.watermark() == fixture.at(6))
    }

    @Test func onlyThePoisonRowOfManyIsQuarantined() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(0, "poison")])
        var commits: [[Change]] = []
        for id in 1...10_000 {
            commits.append([try .person(Int64(id), id == 5_000 ? "poison" : "n\(id)")])
        }
        let refused = try fixture.applyInOrder(commits)
        #expect(refused.map(\.firstSequence) == [3 + 5_000])
        #expect(refused[0].error.kind == .constraint)
        #expect(refused[0].error.code == 2067)  // SQLITE_CONSTRAINT_UNIQUE
        #expect(refused[0].keys == [.row(table: 1, key: try SinkFixture.key(5_000))])
        #expect(refused[0].attempts == 1)
        #expect(try fixture.strings("SELECT count(*) FROM person") == ["10000"])
        #expect(try fixture.sink.watermark() == fixture.at(10_003))
        #expect(try fixture.isQuarantined(5_000))
        #expect(try !fixture.isQuarantined(5_001))
    }

    @Test func laterCommitsOfItsKeysFollowIt() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        let refused = try fixture.applyInOrder([
            [.person(2, "Ann"), .person(3, "Cy")],  // 4: refused for row 2, takes row 3 along
            [.person(3, "Di"), .person(4, "Ed")],  // 6: follows for row 3, takes row 4 along
            [.person(5, "Flo")],  // 8: free
            [.delete(4)],  // 9: follows
        ])
        #expect(refused.map(\.firstSequence) == [4, 6, 9])
        #expect(refused.map(\.dependsOn) == [nil, 4, 6])
        #expect(refused.map(\.attempts) == [1, 0, 0])
        #expect(try names(fixture) == ["1 Ann", "5 Flo"])
        #expect(fixture.sink.quarantined() == refused)
    }

    @Test func quarantineOutlivesTheProcess() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        let refused = try fixture.applyInOrder([[.person(2, "Ann")], [.clear(1)]])
        #expect(
            refused.map(\.keys) == [
                [.row(table: 1, key: try SinkFixture.key(2))], [.table(1)],
            ])
        let reopened = try SinkFixture.open(fixture.path)
        #expect(reopened.quarantined() == refused)
        #expect(!reopened.quarantineIsEmpty)
        try reopened.close()
    }

    @Test func aClearFollowsWhatItsTableHasInQuarantine() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([[.person(2, "Ann")], [.clear(1)], [.person(7, "Gus")]])
        #expect(fixture.sink.quarantined().map(\.firstSequence) == [4, 5, 6])
        #expect(try names(fixture) == ["1 Ann"])
        #expect(refusal { try fixture.apply([], cleared: [1]) } == .constraint)
    }

    @Test func aCoalescedBatchDoesNotOvertakeQuarantine() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([[.person(2, "Ann")]])
        let later = try [Change.person(2, "Bo")]
        #expect(refusal { try fixture.apply(later) } == .constraint)
        fixture.sequence -= 1
        try fixture.apply([.person(3, "Cy")])
        #expect(try names(fixture) == ["1 Ann", "3 Cy"])
    }

    @Test func settlingReleasesACommitAndWhatFollowsIt() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([
            [.person(2, "Ann")], [.person(2, "Bo"), .person(3, "Cy")], [.person(1, "Bo")],
            [.person(9, "Bo")],
        ])
        #expect(fixture.sink.quarantined().map(\.firstSequence) == [4, 5, 8])
        let refused = try fixture.applyInOrder([[.settle(4), .person(2, "Di"), .delete(3)]])
        #expect(refused.isEmpty)
        #expect(fixture.sink.quarantined().map(\.firstSequence) == [8])
        #expect(try names(fixture) == ["1 Bo", "2 Di"])
    }

    @Test func aRefusedSettlementSettlesNothing() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([[.person(2, "Ann")]])
        try fixture.applyInOrder([[.settle(4), .person(2, "Ann")]])
        #expect(fixture.sink.quarantined().map(\.firstSequence) == [4, 5])
        try fixture.applyInOrder([[.settle(4), .person(2, "Bo")]])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try names(fixture) == ["1 Ann", "2 Bo"])
    }

    @Test func retryAppliesInOrderWhatNowFits() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        let commits = try [
            fixture.commit([.person(2, "Ann")]), fixture.commit([.person(2, "Bo", 5)]),
            fixture.commit([.person(3, "Ann")]),
        ]
        let refused = try fixture.sink.applyInOrder(commits, through: fixture.at(6))
        #expect(refused.count == 3)
        #expect(try fixture.sink.retry(commits.reversed()) == [])
        #expect(fixture.sink.quarantined().map(\.attempts) == [2, 1, 2])
        try fixture.apply([.person(1, "Zoe")])
        #expect(try fixture.sink.retry(commits) == [4, 5, 6])
        #expect(try names(fixture) == ["1 Zoe", "2 Bo", "3 Ann"])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try fixture.strings("SELECT * FROM _writebehind_quarantine_key").isEmpty)
        #expect(try fixture.sink.retry(commits) == [])
    }

    @Test(arguments: ["ABORT", "FAIL", "ROLLBACK"])
    func aTriggerThatRefusesARowQuarantinesItsCommit(how: String) throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TRIGGER no_bo BEFORE INSERT ON person WHEN new.name = 'Bo'
            BEGIN SELECT RAISE(\(how), 'no Bo here'); END
            """)
        let refused = try fixture.applyInOrder([
            [.person(1, "Ann")], [.person(2, "Cy"), .person(3, "Bo")], [.person(4, "Di")],
            [.person(5, "Bo")],
        ])
        #expect(refused.map(\.firstSequence) == [4, 7])
        #expect(refused[0].error.message.contains("no Bo here"))
        #expect(try names(fixture) == ["1 Ann", "4 Di"])
    }

    @Test func aRowThatATriggerIgnoresIsRefusedNotLost() throws {
        let fixture = try SinkFixture()
        try fixture.user(
            "CREATE TRIGGER i BEFORE INSERT ON person BEGIN SELECT RAISE(IGNORE); END")
        try fixture.user(
            "CREATE TRIGGER d BEFORE DELETE ON visit BEGIN SELECT RAISE(IGNORE); END")
        let refused = try fixture.applyInOrder([
            [.person(1, "Ann")], [.visit("mon", 1, person: nil)], [.clear(2)],
        ])
        #expect(refused.map(\.firstSequence) == [3, 5])
    }

    @Test func aTriggersErrorOverARowsValuesIsAboutThatRow() throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TRIGGER t AFTER INSERT ON person
            BEGIN SELECT abs(new.age); END
            """)
        let refused = try fixture.applyInOrder([[.person(1, "x", .min)], [.person(2, "y")]])
        #expect(refused.map(\.firstSequence) == [3])
        #expect(try names(fixture) == ["2 y"])
    }
}
