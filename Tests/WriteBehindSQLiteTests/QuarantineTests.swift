import EventLog
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

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
        #expect(refused.map(\.firstSequence) == [4])
        #expect(try fixture.quarantined() == [4, 6, 9])
        #expect(fixture.sink.quarantine.groups.values.map(\.commitCount) == [3])
        #expect(fixture.sink.quarantine.lowest == 4)
        #expect(try names(fixture) == ["1 Ann", "5 Flo"])
    }

    @Test func quarantineOutlivesTheProcess() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([
            [.person(2, "Ann"), .visit("mon", 1, person: nil)], [.clear(1)],
            [.person(9, "Ann")], [.patch(9, [ColumnChange(column: 1, value: .integer(3))])],
        ])
        var before = fixture.sink.quarantine
        _ = before.takeChanges()
        #expect(try fixture.quarantined() == [4, 6, 7, 8])
        let reopened = try SinkFixture.open(fixture.path)
        #expect(reopened.quarantine.held == before.held)
        #expect(reopened.quarantine.groups == before.groups)
        #expect(reopened.quarantine.lowest == before.lowest)
        #expect(reopened.quarantine.latest == before.latest)
        #expect(reopened.quarantine.refused[4]?.error == before.refused[4]?.error)
        try reopened.close()
    }

    @Test func aClearFollowsWhatHoldsRowsOfOtherTablesToo() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([
            [.person(2, "Ann"), .visit("mon", 1, person: nil)], [.clear(1)], [.person(7, "Gus")],
        ])
        #expect(try fixture.quarantined() == [4, 6, 7])
        #expect(try names(fixture) == ["1 Ann"])
        #expect(refusal { try fixture.apply([], cleared: [1]) } == .constraint)
    }

    @Test func aClearThatTheDatabaseTakesSettlesWhatItsTableHasInQuarantine() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([[.person(2, "Ann")], [.person(3, "Ann")], [.clear(1)]])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try names(fixture).isEmpty)
    }

    /// The effect of a commit of such rows on a refused commit before it that holds rows 2 and 3, or 2 alone.
    @Test(arguments: [
        ("one put of the row", false, [Int64(2)], true), ("a row more", false, [2, 4], true),
        ("one of two rows", true, [2], false), ("both rows", true, [2, 3], true),
        ("another row", false, [4], false), ("one of two rows and another", true, [2, 4], false),
    ])
    func aLaterCommitThatMakesAllRowsOfAGroupAnewSettlesIt(
        what: String, holdsTwo: Bool, written: [Int64], settles: Bool
    ) throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        let refused: [Change] =
            try holdsTwo
            ? [.person(2, "Ann"), .person(3, "Cy")] : [.person(2, "Ann")]
        try fixture.applyInOrder([
            refused, [.patch(2, [ColumnChange(column: 1, value: .integer(3))])],
        ])
        try fixture.applyInOrder([try written.map { try .person($0, "new\($0)") }])
        #expect(fixture.sink.quarantineIsEmpty == settles, "\(what)")
        let isThere = try names(fixture).contains("\(written[0]) new\(written[0])")
        #expect(isThere == (settles || written == [4]), "\(what)")
    }

    @Test func aPatchOrARefusedPutSettlesNothing() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([
            [.person(2, "Ann")], [.patch(2, [ColumnChange(column: 0, value: .text("Bo"))])],
            [.person(2, "Ann", 7)],
        ])
        #expect(try fixture.quarantined() == [4, 5, 6])
        try fixture.applyInOrder([[.delete(2)]])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try names(fixture) == ["1 Ann"])
    }

    /// The tables grow with the rows, not with the commits.
    @Test(arguments: [1, 10, 1000])
    func followersTakeNoRoom(keys: Int64) throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(0, "Ann")])
        try fixture.applyInOrder([try (1...keys).map { try .person($0, $0 == 1 ? "Ann" : nil) }])
        for round in 0..<20 {
            try fixture.applyInOrder(
                try (0..<100).map { number in
                    let key = Int64(round * 100 + number) % keys + 1
                    return [try .patch(key, [ColumnChange(column: 1, value: .integer(3))])]
                })
        }
        let quarantine = fixture.sink.quarantine
        #expect(quarantine.commitCount == 2001)
        #expect(quarantine.held.count == Int(keys) && quarantine.refused.count == 1)
        for (table, count) in [("", 1), ("_key", Int(keys)), ("_group", 1)] {
            let sql = "SELECT count(*) FROM _writebehind_quarantine" + table
            #expect(try fixture.strings(sql) == ["\(count)"])
        }
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
            [.person(2, "Ann"), .person(4, "Ed")], [.person(2, "Bo"), .person(3, "Cy")],
            [.person(1, "Bo")], [.person(9, "Bo")],
        ])
        #expect(try fixture.quarantined() == [4, 6, 9])
        try fixture.applyInOrder([[.settle(4), .person(2, "Di"), .delete(3), .delete(4)]])
        #expect(try fixture.quarantined() == [9])
        #expect(try names(fixture) == ["1 Bo", "2 Di"])
    }

    @Test func aRefusedSettlementSettlesNothing() throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([[.person(2, "Ann")]])
        try fixture.applyInOrder([[.settle(4), .person(2, "Ann")]])
        #expect(try fixture.quarantined() == [4, 5])
        try fixture.applyInOrder([[.settle(4), .person(2, "Bo")]])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try names(fixture) == ["1 Ann", "2 Bo"])
    }

    /// However many commits are tried in one transaction.
    @Test(arguments: [1, 2, 100])
    func retryAppliesInOrderWhatNowFits(atOnce: Int) throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([
            [.person(2, "Ann")], [.patch(2, [ColumnChange(column: 0, value: .text("Bo"))])],
            [.person(3, "Ann")], [.patch(2, [ColumnChange(column: 1, value: .integer(5))])],
        ])
        #expect(try fixture.retry(atOnce: atOnce) == 0)
        #expect(try fixture.quarantined() == [4, 5, 6, 7])
        #expect(fixture.sink.quarantine.all.map(\.attempts) == [2, 2])
        try fixture.apply([.person(1, "Zoe")])
        #expect(try fixture.retry(atOnce: atOnce) == 4)
        #expect(try names(fixture) == ["1 Zoe", "2 Bo", "3 Ann"])
        #expect(fixture.sink.quarantineIsEmpty)
        for table in ["", "_key", "_group"] {
            #expect(try fixture.strings("SELECT * FROM _writebehind_quarantine" + table).isEmpty)
        }
        #expect(try fixture.retry() == 0)
    }

    /// The first part of a group is taken, the rest is refused: then they are no group any more.
    @Test(arguments: [1, 2, 100]) func whatARetryLeavesFormsNewGroups(atOnce: Int) throws {
        let fixture = try uniqueNames()
        try fixture.apply([.person(1, "Ann"), .person(5, "Eve")])
        try fixture.applyInOrder([
            [.person(2, "Ann"), .person(3, "Cy")],
            [.patch(2, [ColumnChange(column: 0, value: .text("Eve"))])],
            [.patch(3, [ColumnChange(column: 0, value: .text("Eve"))])], [.person(7, "Eve")],
        ])
        #expect(fixture.sink.quarantine.groups.count == 2)
        try fixture.apply([.person(1, "Zoe")])
        #expect(try fixture.retry(atOnce: atOnce) == 1)
        #expect(try fixture.quarantined() == [6, 7, 8])
        #expect(fixture.sink.quarantine.groups.values.map(\.commitCount) == [1, 1, 1])
        #expect(try names(fixture) == ["1 Zoe", "2 Ann", "3 Cy", "5 Eve"])
        let reopened = try SinkFixture.open(fixture.path)
        #expect(reopened.quarantine.groups == fixture.sink.quarantine.groups)
        try reopened.close()
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
