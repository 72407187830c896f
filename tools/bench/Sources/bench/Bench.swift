import ArgumentParser
import Foundation

/// Measures the store and the stores that people use today, in turn, on this machine.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures WriteBehind and its peers in turn; prints tables of ratios.",
        discussion: """
            Without a subcommand it compares; `bench compare --help` lists the options.

            EXAMPLES
              bench --quick                     two minutes
              bench --only P1,P3 --rounds 1     these workloads
              bench --contenders writebehind,rocksdb
            """,
        subcommands: [Compare.self, Growth.self, Packing.self, Measure.self],
        defaultSubcommand: Compare.self)
}

/// Runs workloads, every contender in each round, and reports.
struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run workloads and report.")

    @Option(
        help:
            "Workloads by name, with commas: \(Workload.all.map(\.id).joined(separator: ", "))."
    )
    var only: String?
    @Option(help: "The beginnings of contenders' names, separated by commas.")
    var contenders: String?
    @Flag(help: "A short form of two minutes: few records, one round.")
    var quick = false
    @Option(help: "How often every contender runs; the median counts.")
    var rounds: Int?
    @Option(help: "Records of a run.")
    var count: Int?
    @Option(help: "Seconds after which a slow contender may stop.")
    var seconds: Double?
    @Option(help: "Where the files go; made, and removed at the end.")
    var directory = "/tmp/writebehind-bench"
    @Option(help: "Write all measurements to this file.")
    var json: String?
    @Option(help: "Write bars of all workloads to this SVG file.")
    var plot: String?

    func run() async throws {
        var series: [Series] = []
        let missing = Contender.allCases.filter { !$0.isInstalled }.map(\.rawValue)
        if !missing.isEmpty {
            print("not installed here, so left out: \(missing.joined(separator: ", "))")
        }
        let wanted = only.map { $0.split(separator: ",").map { $0.lowercased() } }
        for workload in Workload.all {
            if let wanted, !wanted.contains(workload.id.lowercased()) { continue }
            let measured = try measure(workload)
            print(Table(workload, measured))
            series += measured
        }
        let report = Report(machine: Machine(), series: series)
        if let json { try report.encoded().write(to: URL(fileURLWithPath: json)) }
        if let plot { try Plot(report).svg.write(toFile: plot, atomically: true, encoding: .utf8) }
        print(report.machine)
    }

    private func measure(_ workload: Workload) throws -> [Series] {
        var series = workload.widths.flatMap { width in
            workload.contenders.filter(isWanted).map {
                Series(workload: workload.id, title: workload.title, contender: $0, width: width)
            }
        }
        for _ in 0..<(rounds ?? (quick ? 1 : 3)) {
            for index in series.indices {
                // A bare loop has no threads.
                if series[index].contender.isLimit, series[index].width > 1 { continue }
                series[index].runs.append(try run(workload, series[index]))
            }
        }
        return series.filter { !$0.runs.isEmpty }
    }

    private func isWanted(_ contender: Contender) -> Bool {
        guard contender.isInstalled else { return false }
        guard let contenders else { return true }
        return contenders.split(separator: ",").contains { contender.rawValue.hasPrefix($0) }
    }

    private func run(_ workload: Workload, _ series: Series) throws -> Measurement {
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let setting = Workload.Setting(
            directory: directory, count: count ?? (quick ? 50_000 : 1_000_000),
            seconds: seconds ?? (quick ? 0.3 : 10), width: series.width)
        warmMemory(for: setting)
        return try ChildRun(workload: workload.id, series.contender, setting).measurement()
    }
}

/// One run; what ``Compare`` starts.
struct Measure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one workload once and print its measurement.", shouldDisplay: false)

    @Argument var workload: String
    @Argument var contender: String
    @Argument var setting: String

    func run() async throws {
        guard let workload = Workload.all.first(where: { $0.id == workload }),
            let contender = Contender(rawValue: contender)
        else { throw ValidationError("no such workload or contender") }
        let setting = try JSONDecoder().decode(
            Workload.Setting.self, from: Data(setting.utf8))
        let measurement = try await workload.run(contender, setting)
        print(String(decoding: try JSONEncoder().encode(measurement), as: UTF8.self))
    }
}
