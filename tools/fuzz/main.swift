// The fuzzer's process: libFuzzer's loop around one target (Fuzzing/FuzzTarget.swift). `tools/fuzz/run` builds
// and runs it.
//
//   fuzz TARGET seeds DIRECTORY      writes what to start from
//   fuzz TARGET [libFuzzer's arguments]

import Foundation
import Fuzzing

/// libFuzzer's own entry, for programs that have a `main`.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

nonisolated(unsafe) private var target: FuzzTarget?

private func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    do {
        _ = try target?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    } catch {
        fatalError("\(error)")  // how libFuzzer is told of a rule that was broken
    }
    return 0
}

private let words = CommandLine.arguments
guard words.count > 1, let chosen = FuzzTarget(rawValue: words[1]) else {
    print(FuzzTarget.allCases.map(\.rawValue).joined(separator: "\n"))
    exit(words.count > 1 ? 64 : 0)
}
target = chosen
if words.count == 4, words[2] == "seeds" {
    for (index, seed) in try chosen.seeds().enumerated() {
        try Data(seed).write(to: URL(fileURLWithPath: "\(words[3])/seed-\(index)"))
    }
    exit(0)
}
// libFuzzer sees the program's name and what follows the target.
private let kept = [words[0]] + words.dropFirst(2)
private var count = Int32(kept.count)
private var pointers = kept.map { strdup($0) } + [nil]
exit(
    pointers.withUnsafeMutableBufferPointer { buffer in
        // Never empty: the name is there.
        var start = buffer.baseAddress!
        return runFuzzer(&count, &start, test)
    })
