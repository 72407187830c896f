import EventLog
import Foundation
import Logging
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

struct Player: TableRow, Equatable {
    typealias Key = Int
    static let schema = TableSchema(
        "player",
        [
            .key("id", .integer), .column("name", .text),
            .column("score", .integer), .column("team", .text, nullable: true),
        ])
    var id: Int
    var name: String
    var score: Int
    var team: String?

    init(id: Int, name: String = "Ada", score: Int = 0, team: String? = nil) {
        (self.id, self.name, self.score, self.team) = (id, name, score, team)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(name)
        encoder.encode(score)
        encoder.encode(team)
    }

    init(from decoder: inout RowDecoder) throws(RowError) {
        id = try decoder.decode(Int.self)
        name = try decoder.decode(String.self)
        score = try decoder.decode(Int.self)
        team = try decoder.decode(String?.self)
    }
}

/// A store in a directory of its own with a database of its own: an empty one in the tests' server, if none is given.
final class TestStore: Sendable {
    let path: String
    let database: TestDatabase

    init(in database: TestDatabase? = nil) throws {
        path = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
        self.database = try database ?? TestServer.shared.makeDatabase()
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func configuration() -> StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.stagingSlotSize = 1 << 20
        configuration.cacheLimit = 16 << 20
        configuration.retryLimit = .milliseconds(50)
        configuration.materializeInterval = .milliseconds(5)
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return configuration
    }

    /// - Parameter address: another than the database's own, such as a proxy's.
    func open(
        at address: String? = nil, path: String? = nil,
        _ options: (inout PostgreSQLOptions) -> Void = { _ in },
        _ configure: (inout StoreConfiguration) -> Void = { _ in }
    ) throws -> Store {
        var configuration = Self.configuration()
        configure(&configuration)
        var own = PostgreSQLOptions(address ?? database.url) {
            Int64(Date().timeIntervalSince1970 * 1_000_000)
        }
        own.lockLimit = 400
        own.connectLimit = 5_000_000_000
        options(&own)
        let environment = StoreEnvironment(
            disk: PosixDisk(), time: SystemTime(), random: { .random(in: 1 ... .max) },
            opener: PostgreSQLOpener(own))
        return try Store(
            at: path ?? self.path, configuration: configuration, environment: environment)
    }

    /// Counts what happens to each row of a table: what is applied twice is seen.
    func audit(_ table: String) throws {
        try database.run(
            """
            CREATE TABLE audit (number bigserial, id bigint, was bigint, is_now bigint);
            CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              INSERT INTO public.audit (id, was, is_now) VALUES (new.id, CASE WHEN tg_op = 'INSERT' THEN null ELSE old.score END, new.score);
              RETURN null; END $$;
            CREATE TRIGGER noted AFTER INSERT OR UPDATE ON \(table) FOR EACH ROW EXECUTE FUNCTION note();
            """)
    }

    /// How often the database was claimed.
    func claims() throws -> String? {
        try database.run("SELECT claims FROM writebehind.watermark").first?.first ?? nil
    }

    /// How far the database has come; nil if the store is not known there.
    func watermark() throws -> Int? {
        try database.value("SELECT sequence FROM writebehind.watermark").flatMap { Int($0) }
    }

    /// The players in the database.
    func players() throws -> [Player] {
        try database.run("SELECT id, name, score, team FROM player ORDER BY id").map { row in
            Player(
                id: Int(row[0] ?? "") ?? -1, name: row[1] ?? "", score: Int(row[2] ?? "") ?? -1,
                team: row[3])
        }
    }
}

extension TestDatabase {
    /// Makes a role that may only read, and returns its name.
    ///
    /// - Parameter ofTables: whether it may read the users' tables as well as the stores' own.
    func makeReader(_ name: String, ofTables: Bool = true) throws -> String {
        let role = "\(name)_\(self.name)"
        try run(
            """
            CREATE ROLE \(role) LOGIN;
            GRANT USAGE ON SCHEMA writebehind, public TO \(role);
            GRANT SELECT ON ALL TABLES IN SCHEMA writebehind TO \(role);
            """)
        if ofTables { try run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO \(role)") }
        return role
    }
}
