import Glibc
import TestSupport

/// A moment at which a child kills itself: around the n-th operation of a kind on a kind of file.
struct Failpoint: Equatable, CustomStringConvertible {
    enum Moment: String, CaseIterable {
        case before
        /// Half of a write's bytes are in the file. For all other operations, the same as before.
        case halfway
        case after
    }

    /// An operation and the kind of file that it changes.
    struct Place: Hashable, CustomStringConvertible {
        enum Operation: String {
            case any, append, create, write, sync, truncate, rename, remove
            case syncDirectory = "sync-directory"
        }

        enum Area: String {
            case any, staging, log, snapshots, aside, identity
            /// A segment under its temporary name: in recovery, and when segments are merged.
            case rewrite
            /// SQLite's files: its WAL is written by commits, the database itself by checkpoints.
            case wal, database
        }

        var operation: Operation
        var area: Area
        /// The highest number of such operations to count before the process dies.
        var most = 1

        var description: String { "\(operation.rawValue) \(area.rawValue)" }
        var isOfRecovery: Bool { area != .database && area != .snapshots && operation != .append }

        static func == (left: Place, right: Place) -> Bool {
            left.operation == right.operation && left.area == right.area
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(operation)
            hasher.combine(area)
        }
    }

    var place: Place
    var moment: Moment
    var count: Int

    var description: String { "\(moment.rawValue) \(place) \(count)" }

    /// All places where the child may die. A sync is followed by publishing what is durable; a segment
    /// is created, and its name synced, in the middle of a roll.
    static let places: [Place] = [
        Place(operation: .any, area: .any, most: 400),
        Place(operation: .append, area: .staging, most: 2000),
        Place(operation: .create, area: .log, most: 6),
        Place(operation: .write, area: .log, most: 60),
        Place(operation: .sync, area: .log, most: 30),
        Place(operation: .syncDirectory, area: .log, most: 6),
        Place(operation: .remove, area: .log, most: 2),
        Place(operation: .create, area: .rewrite),
        Place(operation: .write, area: .rewrite, most: 20),
        Place(operation: .sync, area: .rewrite, most: 2),
        Place(operation: .rename, area: .log),
        Place(operation: .create, area: .staging),
        Place(operation: .write, area: .staging, most: 3),
        Place(operation: .rename, area: .staging),
        Place(operation: .remove, area: .staging),
        Place(operation: .create, area: .snapshots, most: 3),
        Place(operation: .write, area: .snapshots, most: 6),
        Place(operation: .sync, area: .snapshots, most: 3),
        Place(operation: .rename, area: .snapshots, most: 2),
        Place(operation: .remove, area: .snapshots),
        Place(operation: .rename, area: .identity),
        Place(operation: .write, area: .wal, most: 100),
        Place(operation: .write, area: .database, most: 20),
    ]

    static func random(
        in places: [Place], using random: inout SeededRandom
    ) -> Failpoint {
        // Never empty: callers filter a list that holds `any`.
        let place = places.randomElement(using: &random)!
        return Failpoint(
            place: place, moment: Moment.allCases.randomElement(using: &random)!,
            count: .random(in: 1...place.most, using: &random))
    }

    init(place: Place, moment: Moment, count: Int) {
        (self.place, self.moment, self.count) = (place, moment, count)
    }

    /// Parses the form of ``description``.
    init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 4, let moment = Moment(rawValue: words[0]),
            let operation = Place.Operation(rawValue: words[1]),
            let area = Place.Area(rawValue: words[2]), let count = Int(words[3])
        else { return nil }
        self.init(
            place: Place(operation: operation, area: area), moment: moment, count: count)
    }
}

/// The failpoint of this process. There is one, and it is global: SQLite's calls carry no context.
enum Armed {
    private static let failpoint = Locked<Failpoint?>(nil)

    static func set(_ new: Failpoint?) { failpoint.withLock { $0 = new } }

    /// Does an operation. The process dies around it if the failpoint is reached.
    ///
    /// - Parameter half: does half of it.
    static func around<R, E: Error>(
        _ operation: Failpoint.Place.Operation, _ area: Failpoint.Place.Area,
        half: () -> Void = {}, _ body: () throws(E) -> R
    ) throws(E) -> R {
        let moment = hit(operation, area)
        if moment == .halfway { half() }
        if let moment, moment != .after { die() }
        let result = try body()
        if moment == .after { die() }
        return result
    }

    /// The moment to die at, if this is the n-th such operation; otherwise nil.
    private static func hit(
        _ operation: Failpoint.Place.Operation, _ area: Failpoint.Place.Area
    ) -> Failpoint.Moment? {
        failpoint.withLock { failpoint in
            guard let place = failpoint?.place,
                place.operation == operation || place.operation == .any && operation != .append,
                place.area == area || place.area == .any
            else { return nil }
            failpoint?.count -= 1
            return failpoint?.count == 0 ? failpoint?.moment : nil
        }
    }

    /// Reports that the failpoint was reached, and dies as with `kill -9` from outside.
    private static func die() -> Never {
        let line = Array("!\n".utf8)
        _ = Glibc.write(STDOUT_FILENO, line, line.count)
        kill(getpid(), SIGKILL)
        while true { pause() }
    }
}
