import Glibc
import TestSupport
import WriteBehindCore

/// The steps that a seed makes.
package struct StepGenerator {
    private var random: SeededRandom
    /// The steps that this seed does more often than others, so that seeds differ in kind.
    private let crashes: Int
    private let trouble: Int
    /// The kinds of trouble.
    private let troubles: [Trouble]
    private let work: Int
    private let hasLargeSegments: Bool
    /// How many rows a table has at most, except the table `crowd`: with few rows, more steps meet at one row.
    private let keyCount: Int
    private let tableCount: Int
    /// How often the declaration of a table changes.
    private let changes: Int
    /// How many codes there are, of which no two rows may have the same; 0: rows have none.
    private let codeCount: Int
    /// How often new rows are given an id.
    private let inserts: Int
    /// How many of the writes are adds.
    private let adds: Int
    private var diskIsFull = false
    /// The steps that come next: some steps show more together with others.
    private var next: [Step] = []

    private enum Trouble: CaseIterable { case database, constraints, disk }

    private init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        crashes = [6, 12, 20, 30].randomElement(using: &random) ?? 12
        trouble = [0, 0, 4, 10].randomElement(using: &random) ?? 0
        troubles =
            [Trouble.allCases, [.database], [.constraints], [.disk]].randomElement(using: &random)
            ?? []
        work = [15, 30, 45].randomElement(using: &random) ?? 30
        keyCount = [2, 3, Int(Tables.keyCount(1))].randomElement(using: &random) ?? 3
        tableCount =
            [
                Tables.earlyCount, Tables.earlyCount, Tables.earlyCount + 1,
                Tables.declarations.count,
            ]
            .randomElement(using: &random) ?? Tables.earlyCount
        changes = [0, 1, 6].randomElement(using: &random) ?? 1
        codeCount = [0, 0, 3, 12].randomElement(using: &random) ?? 0
        adds = [0, 10, 60].randomElement(using: &random) ?? 10
        inserts = [0, 3, 15].randomElement(using: &random) ?? 3
        hasLargeSegments = Int.random(in: 0..<3, using: &random) == 0
    }

    package static func steps(seed: UInt64) -> [Step] {
        var generator = StepGenerator(seed: seed)
        let count = generator.number(20...200)
        return (0..<count).map { _ in generator.step() }
    }

    private mutating func step() -> Step {
        if let step = next.popLast() { return step }
        if diskIsFull, isChosen(10) {
            diskIsFull = false
            return .freeDisk
        }
        if isChosen(crashes) { return .end(someEnd()) }
        if isChosen(trouble) { return someTrouble() }
        if isChosen(work) { return someWork() }
        if isChosen(changes) { return changeTable() }
        switch number(0...99) {
        case 0..<48: return someWrite()
        case 48..<56:
            return patch(someTable())
        case 56..<60: return .increment(someRow(), by: Int64(number(-9...9)), meanwhile: beside())
        case 60..<64: return someAdd()
        case 64..<70: return .transaction(someChanges())
        case 70..<73: return .clear(someTable())
        case 73:
            return tableCount > Tables.earlyCount && isChosen(50) ? .addTable : changeTable()
        case 74: return isChosen(50) ? .mark : someBurst()
        case 75..<83:
            let row = someRow()
            return .read(row, meanwhile: beside(row))
        case 83..<90: return .evict(someRow())
        case 90..<95: return .wait(milliseconds: UInt64(number(0...300)))
        case 95: return isChosen(50) ? .wait(milliseconds: 61_000) : someVisitor()
        case 96: return .setClock(Int64(number(-200...200)) * (isChosen(30) ? 1000 : 1))
        default: return someOperation()
        }
    }

    private mutating func patch(_ table: UInt32) -> Step {
        let row = Row(table: table, id: someID())
        let values = someValues(table)
        let column = number(0...values.count - 1)
        return .patch(row, column: column, values[column], meanwhile: beside())
    }

    /// Changes earlier rows in the same block, more often than by chance.
    private mutating func changeTable() -> Step {
        let table = someTable()
        next = (0..<number(0...3)).map { _ in patch(table) }
        return .changeTable(table)
    }

    private mutating func someWrite() -> Step {
        var row = someRow()
        if isChosen(inserts) { return .insert(someValues(Tables.assigned)) }
        // Also one that was given its id, or whose id may be given.
        if row.table == Tables.assigned, isChosen(inserts * 2) { row.id = Int64(number(1...150)) }
        if isChosen(adds) { return someAdd() }
        if isChosen(22) { return .delete(row) }
        if isChosen(8) { return .olderPut(row, someValues(row.table)) }
        return .put(
            row, someValues(row.table), timeToLive: isChosen(15) ? UInt64(number(0...200)) : nil)
    }

    private mutating func someAdd() -> Step {
        let row = someRow()
        let columns = Tables.columns(row.table)
        let column = number(0...columns.count - 1)
        // One default is the smallest integer, to which nothing negative can be added.
        let isLeast = columns[column].defaultValue == .integer(.min)
        return .add(row, column: column, by: Int64(number((isLeast ? 0 : -9)...9)))
    }

    private mutating func someWork() -> Step {
        switch number(0...99) {
        case 0..<30: .flush(urgent: isChosen(70))
        case 30..<38: .sync
        case 38..<68: .materialize(urgent: isChosen(60))
        case 68..<82: .snapshot(urgent: isChosen(40), pieces: number(1...8))
        case 82..<86: .expire
        case 86..<90: .follow(blocks: number(1...4))
        case 90..<94: .consume(changes: number(1...12), acknowledges: isChosen(60))
        case 94..<97: .lookBack(commits: number(0...10))
        default: .writeBack
        }
    }

    private mutating func someTrouble() -> Step {
        switch troubles.randomElement(using: &random) ?? .disk {
        case .database:
            if isChosen(25) { return .failRead }
            if isChosen(5) { return .deleteSecondary }
            let kinds: [SinkError.Kind] = [.busy, .diskFull, .io, .readOnly, .gone]
            let kind = kinds.randomElement(using: &random) ?? .busy
            return isChosen(20)
                ? .failSecondary(kind, number(1...3)) : .failTransactions(kind, number(1...3))
        case .constraints: return isChosen(70) ? .refuse(someRow()) : someOperation()
        case .disk:
            diskIsFull = isChosen(40)
            if diskIsFull { return .fillDisk(spare: number(0...400)) }
            let codes = [EIO, ENOSPC, EINTR, EMFILE]
            let code = codes.randomElement(using: &random) ?? EIO
            return .failDisk(at: number(1...25), isChosen(30) ? .shortWrite(code) : .errno(code))
        }
    }

    /// Another process at the open store.
    private mutating func someVisitor() -> Step {
        if isChosen(40) { return .openASecondTime }
        let steps = (0..<number(1...8)).map { _ in
            switch number(0...9) {
            case 0..<4: someWrite()
            case 4, 5: Step.flush(urgent: true)
            case 6: Step.sync
            case 7, 8: Step.materialize(urgent: true)
            default: Step.snapshot(urgent: true, pieces: number(1...8))
            }
        }
        var end = someEnd()
        (end.kind, end.operation, end.isClosing) = (isChosen(50) ? .kill : .powerLoss, 0, false)
        let what = Displacement.allCases.randomElement(using: &random) ?? .moved
        return .displace(what, meanwhile: steps, end)
    }

    private mutating func someOperation() -> Step {
        switch number(0...8) {
        case 8: .putBack
        case 0: .admitAll
        case 1, 2: .retry
        case 3: .skip(number(0...3))
        case 4: .correct(number(0...3), someValues(1))
        case 5, 6: .backUp
        default: .deleteDatabase
        }
    }

    private mutating func someEnd() -> End {
        let kind: End.Kind =
            switch number(0...99) {
            case 0..<42: .kill
            case 42..<86: .powerLoss
            case 86..<92: .close
            case 92..<97: .restore
            default: .loseDatabase
            }
        var end = End(kind: kind, salt: random.next())
        if end.isCrash {
            end.isClosing = isChosen(15)
            if isChosen(40) { end.operation = number(1...(end.isClosing ? 15 : 40)) }
            while end.inRecovery.count < 3, isChosen(18) { end.inRecovery.append(number(1...45)) }
        }
        if isChosen(trouble) { end.room = number(0...24_000) }
        end.readsAll = isChosen(50)
        end.batchRecords = number(1...30)
        if isChosen(50) { end.snapshotAfter = number(200...4000) }
        if isChosen(25) { end.stagingSlots = number(2...4) }
        if isChosen(25) { end.slotPages = number(2...3) }
        end.isTight = isChosen(20)
        end.hasLargeSegments = hasLargeSegments
        end.shardCount = 1 << Int(end.salt % 3)
        return end
    }

    /// The events that may happen during a read of the database.
    ///
    /// - Parameter row: a row to which more is added than to others.
    private mutating func beside(_ row: Row? = nil) -> [Step] {
        (0..<number(0...4)).map { _ -> Step in
            if let row, isChosen(30) { return .add(row, column: 0, by: Int64(number(1...9))) }
            return switch number(0...7) {
            case 0..<3: someWrite()
            case 3: .flush(urgent: isChosen(50))
            case 4..<6: .materialize(urgent: true)
            case 6: .evict(someRow())
            default: isChosen(20) ? .clear(someTable()) : .wait(milliseconds: 50)
            }
        }
    }

    private mutating func someChanges() -> [Step.Change] {
        (0..<number(2...5)).map { _ in
            let row = someRow()
            return Step.Change(row: row, values: isChosen(60) ? someValues(row.table) : nil)
        }
    }

    // MARK: values

    private mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &random)
    }

    private mutating func isChosen(_ percent: Int) -> Bool { number(0...99) < percent }

    private mutating func someTable() -> UInt32 { UInt32(number(1...tableCount)) }

    private mutating func someRow() -> Row {
        Row(table: someTable(), id: someID())
    }

    /// The single rows of the table `crowd` are also among the first ones.
    private mutating func someID() -> Int64 { Int64(number(0...keyCount - 1)) }

    /// Mostly of one row, which then has as many followers if it is refused, or of the whole table `crowd`. Now and then
    /// it has thousands of puts.
    private mutating func someBurst() -> Step {
        let row = someRow()
        let rows = row.table == 5 ? Tables.keyCount(5) : Int64(number(1...2))
        let count = isChosen(4) ? number(1000...4000) : number(20...120)
        return .burst(row, rows: rows, count: count, someValues(row.table))
    }

    private mutating func someInteger() -> StoredValue { .integer(Int64(number(-1000...1000))) }

    private mutating func someValues(_ table: UInt32) -> [StoredValue] {
        Tables.columns(table).map { column in
            if column.isNullable, isChosen(40) { return .null }
            guard column.type == .integer else {
                return .text(String(repeating: "n", count: number(0...3) * number(0...20)))
            }
            if column.name == "code" {
                return codeCount == 0 ? .null : .integer(Int64(number(1...codeCount)))
            }
            if column.name != "until" { return someInteger() }
            return .integer(Int64(Tables.start / 1000) + Int64(number(-50...150)))
        }
    }
}
