import ArgumentParser
import Foundation

/// P10: the cost of an operation with more and more keys.
struct Growth: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "P10: put, get and recovery with more and more keys, all of them resident.",
        discussion: "50 million keys take about 15 GB of memory and 10 GB of disk.")

    @Option(help: "Numbers of keys, separated by commas.")
    var keys = "1000000,10000000,50000000"
    @Option(help: "Where the files go; made, and removed at the end.")
    var directory = "/tmp/writebehind-bench"

    private static let workloads = ["P1", "P3", "P4"]

    func validate() throws {
        guard !counts.isEmpty, counts.allSatisfy({ $0 > 0 && $0 < Int(Int32.max) }) else {
            throw ValidationError("--keys takes numbers of keys, separated by commas.")
        }
    }

    private var counts: [Int] { keys.split(separator: ",").map { Int($0) ?? 0 } }

    func run() throws {
        print("\nP10  nanoseconds an operation, and times as many as in the first row")
        print(Self.line(["keys", "put (P1)", "get (P3)", "open (P4), a record"]))
        var first: [Double] = []
        for count in counts {
            let costs = try Self.workloads.map { try cost($0, count) }
            if first.isEmpty { first = costs }
            let cells = zip(costs, first).map { "\($0.short) (\(($0 / $1).short)x)" }
            print(Self.line([Double(count).short] + cells))
        }
        print(Machine())
    }

    private static func line(_ cells: [String]) -> String {
        cells.map { String(repeating: " ", count: max(1, 22 - $0.count)) + $0 }.joined()
    }

    private func cost(_ workload: String, _ count: Int) throws -> Double {
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // Long enough for all keys, however slow the machine is.
        let setting = Workload.Setting(
            directory: directory, count: count, seconds: 3600, width: 1)
        warmMemory(for: setting)
        let measured = try ChildRun(workload: workload, .writebehind, setting).measurement()
        return 1e9 / measured.perSecond
    }
}
