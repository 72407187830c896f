import Foundation

/// Takes memory from the machine, writes to all of it and gives it back.
///
/// A virtual machine's host hands out a page when it is first written to, which took 11 µs where the kernel itself
/// takes 2: a run after which more memory is in use than before would measure the host.
func warmMemory(byteCount: Int) {
    let page = Int(getpagesize())
    // Not what file caches have: taking that would cost them their files.
    let length = min(byteCount, Machine.freeMemory / 8 * 7)
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
