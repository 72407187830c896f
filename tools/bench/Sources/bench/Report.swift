import Foundation

/// All runs of one contender in one workload.
struct Series: Codable {
    var workload: String
    var title: String
    var contender: Contender
    var width: Int
    var runs: [Measurement] = []

    func median(_ figure: (Measurement) -> Double?) -> Double? {
        let sorted = runs.compactMap(figure).sorted()
        guard !sorted.isEmpty else { return nil }
        // With an even number of values, two are in the middle, and their mean counts. The upper one alone would be too good.
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    func range(_ figure: (Measurement) -> Double?) -> ClosedRange<Double>? {
        let all = runs.compactMap(figure)
        guard let low = all.min(), let high = all.max() else { return nil }
        return low...high
    }
}

struct Report: Codable {
    var machine: Machine
    var series: [Series]

    func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try encoder.encode(self)
    }
}

/// The machine: only figures of one machine can be compared.
struct Machine: Codable, CustomStringConvertible {
    var processor: String
    var cores: Int
    var system: String
    var load: Double
    var date: String

    init() {
        let processors = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        processor =
            processors.split(separator: "\n").first { $0.hasPrefix("model name") }
            .flatMap { $0.split(separator: ":").last }
            .map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
        cores = ProcessInfo.processInfo.activeProcessorCount
        system = ProcessInfo.processInfo.operatingSystemVersionString
        var loads = [0.0, 0, 0]
        getloadavg(&loads, 3)
        load = loads[0]
        date = ISO8601DateFormatter().string(from: Date())
    }

    /// Bytes that nothing uses.
    static var freeMemory: Int { ProcFile.bytes("/proc/meminfo", "MemFree") }

    var description: String {
        "\(processor), \(cores) cores, \(system), load \(load.short), \(date)"
    }
}
