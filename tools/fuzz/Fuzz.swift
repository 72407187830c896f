// libFuzzer calls this, and has the process's `main`. `tools/fuzz/run` builds and runs it. The environment has
// its options:
//
//   FUZZ_TARGET   the target (Fuzzing/FuzzTarget.swift); without it the targets are listed
//   FUZZ_SEEDS    a directory: the first inputs are written there, and nothing else is done

import Foundation
import Fuzzing

private let target: FuzzTarget? = {
    let environment = ProcessInfo.processInfo.environment
    return environment["FUZZ_TARGET"].flatMap { FuzzTarget(rawValue: $0) }
}()

/// libFuzzer calls this before the first input.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutableRawPointer
) -> Int32 {
    guard let target else {
        print(FuzzTarget.allCases.map(\.rawValue).joined(separator: "\n"))
        exit(0)
    }
    guard let directory = ProcessInfo.processInfo.environment["FUZZ_SEEDS"] else { return 0 }
    do {
        for (index, seed) in try target.seeds().enumerated() {
            try Data(seed).write(to: URL(fileURLWithPath: "\(directory)/seed-\(index)"))
        }
    } catch {
        fatalError("\(error)")  // without seeds there is nothing to run
    }
    exit(0)
}

/// libFuzzer calls this with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    do {
        try target?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    } catch {
        fatalError("\(error)")  // libFuzzer reports an input if the process ends
    }
    return 0
}
