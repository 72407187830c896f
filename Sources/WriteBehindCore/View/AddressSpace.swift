import Foundation
import Glibc

/// Address space could not be reserved: a limit of the process or of the machine.
package struct OutOfMemory: Error, Equatable, Sendable, CustomStringConvertible {
    package var byteCount: Int

    package var description: String {
        "\(byteCount >> 20) MiB of address space cannot be had; see the limit of the process (ulimit -v) and "
            + "vm.overcommit_memory"
    }
}

/// How much address space a process with a limit should reserve. Reserving costs nothing without one.
enum AddressSpace {
    /// Bytes that may still be reserved; nil without a limit.
    private static func left() -> Int? {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0,
            let most = Int(exactly: limit.rlim_cur)
        else { return nil }
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?
            .split(separator: " ").first.flatMap { Int($0) }
        return max(0, most - (pages ?? 0) * sysconf(Int32(_SC_PAGESIZE)))
    }

    /// `wanted` bytes, or less if the process has less left, but never less than `needed`.
    ///
    /// - Parameters:
    ///   - needed: less than this is of no use.
    ///   - parts: how many reservations of this size must fit into what is left.
    static func reservation(
        wanted: Int, needed: Int, parts: Int
    ) throws(OutOfMemory) -> Int {
        guard let left = left() else { return wanted }
        guard left >= needed else { throw OutOfMemory(byteCount: needed) }
        return min(wanted, max(needed, left / parts))
    }
}
