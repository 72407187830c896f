import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// A row of a leaderboard, coded by hand, with an index over one column and one over two.
struct Score: TableRow, Equatable {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "score",
        [
            .key("id", .integer), .column("points", .integer),
            .column("team", .text, nullable: true),
        ], indices: [IndexDefinition("points"), IndexDefinition("byTeam", on: "team", "points")])
    var id: Int
    var points: Int
    var team: String?

    init(_ id: Int, _ points: Int, team: String? = nil) {
        (self.id, self.points, self.team) = (id, points, team)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(points)
        encoder.encode(team)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        points = try decoder.decode()
        team = try decoder.decode()
    }
}

extension Store {
    /// Waits until all indices are ready.
    func waitForIndices() async throws {
        for index in engine.indices.all {
            #expect(await eventually { index.phase != .building })
        }
    }

    /// Compares the indices of a table with what its rows must be.
    func expectIndices(
        of scores: StoredTable<Score>, toHold rows: [Int: Score],
        _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let byPoints = rows.values.sorted { ($0.points, $0.id) < ($1.points, $1.id) }
        let all = try await scores.bottom(.max, by: "points")
        #expect(all == byPoints, sourceLocation: location)
        func team(_ score: Score) -> [UInt8] {
            score.team.map { [1] + [UInt8]($0.utf8) } ?? [0]
        }
        let byTeam = byPoints.sorted { left, right in
            team(left) == team(right)
                ? (left.points, left.id) < (right.points, right.id)
                : team(left).lexicographicallyPrecedes(team(right))
        }
        var (read, cursor): ([Score], IndexCursor?) = ([], nil)
        repeat {
            let page = try await scores.range(in: "byTeam", limit: 7, after: cursor)
            read += page.rows
            cursor = page.next
        } while cursor != nil
        #expect(read == byTeam, sourceLocation: location)
        for (rank, score) in byPoints.reversed().enumerated() where rank % 13 == 0 {
            let found = try await scores.rank(of: score.id, by: "points")
            #expect(found == rank, sourceLocation: location)
        }
        for index in engine.indices.all {
            #expect(index.fault() == nil, sourceLocation: location)
        }
    }
}
