import Foundation

/// The figures of one run of one contender.
struct Measurement: Codable {
    var operations: Int
    var seconds: Double
    /// Nanoseconds of single operations. If they are short, every 16th is timed.
    var p50: Double?
    var p99: Double?
    var p999: Double?
    var worst: Double?
    /// Processor seconds of the whole process, from the start of the clock.
    var cpuSeconds: Double?
    /// The peak of the process's memory, minus its memory when the clock started. In bytes.
    var peakMemory: Int?
    var diskBytes: Int?
    /// Figures that only this workload measures.
    var more: [String: Double] = [:]
    /// The course of the run, if it is a long one.
    var samples: [Sample]?

    var perSecond: Double { seconds > 0 ? Double(operations) / seconds : 0 }
}

/// A moment of a run: how many records the database was behind, and the memory in bytes.
struct Sample: Codable {
    var seconds: Double
    var lag: Double
    var memory: Double
}

/// Runs a clock, and takes the process's own figures at its start and end.
struct Stopwatch {
    private let cpu = Usage.cpuSeconds
    private let memory = Usage.memory("VmRSS")
    private let start = nanoseconds()

    func stop(operations: Int, latencies: [UInt32] = []) -> Measurement {
        let seconds = Double(nanoseconds() - start) / 1e9
        var result = Measurement(operations: operations, seconds: seconds)
        result.cpuSeconds = Usage.cpuSeconds - cpu
        result.peakMemory = Usage.memory("VmHWM") - memory
        let sorted = latencies.sorted()
        func percentile(_ part: Double) -> Double? {
            sorted.isEmpty
                ? nil : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))])
        }
        result.p50 = percentile(0.5)
        result.p99 = percentile(0.99)
        result.p999 = percentile(0.999)
        result.worst = percentile(1)
        return result
    }
}

/// The monotonic clock.
@inline(__always)
func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

enum Usage {
    static var cpuSeconds: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// A line of /proc/self/status, in bytes.
    static func memory(_ name: String) -> Int { ProcFile.bytes("/proc/self/status", name) }

    /// The bytes that the files of a directory occupy, those of its directories included.
    static func disk(_ directory: String, where isCounted: (String) -> Bool = { _ in true }) -> Int
    {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? []
        return names.filter(isCounted).reduce(0) { sum, name in
            var status = stat()
            guard stat(directory + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG
            else { return sum }
            // Blocks on disk: without the space reserved behind a log's end, and without holes.
            return sum + min(Int(status.st_blocks) * 512, Int(status.st_size))
        }
    }
}

/// Runs `body` on `count` threads, and returns once all have ended.
func concurrently(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let done = DispatchSemaphore(value: 0)
    for number in 0..<count {
        let thread = Thread {
            body(number)
            done.signal()
        }
        thread.start()
    }
    for _ in 0..<count { done.wait() }
}

/// Ends the process: a thread of a run has failed.
func end(_ error: any Error) -> Never {
    FileHandle.standardError.write(Data("bench: \(error)\n".utf8))
    exit(1)
}

/// A file of the kernel with lines of names and kilobytes.
enum ProcFile {
    static func bytes(_ path: String, _ name: String) -> Int {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
            let number = line.split(whereSeparator: { !$0.isNumber }).first
            return (number.flatMap { Int($0) } ?? 0) * 1024
        }
        return 0
    }
}
