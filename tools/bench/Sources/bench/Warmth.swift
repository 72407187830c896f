import Foundation

/// Takes memory from the machine, writes to all of it and gives it back.
///
/// A virtual machine's host provides a page when it is first written to, which took 11 µs, while the kernel itself
/// takes 2 µs. So a run that needs more memory than was in use before would measure the host. The process that starts
/// a run must call this, not the run itself, where the warmed memory would count as used.
func warmMemory(for setting: Workload.Setting) {
    let page = Int(getpagesize())
    // About as much as the rows of any contender take in memory and in the page cache, but no memory that file caches use.
    let wanted = (1 << 30) + setting.count * 600
    let length = min(wanted, Machine.freeMemory / 8 * 7)
    guard length > 0,
        let start = mmap(
            nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        start != MAP_FAILED
    else { return }
    for offset in stride(from: 0, to: length, by: page) {
        start.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
    }
    munmap(start, length)
}
