#include <sys/statfs.h>

/// Begins to bring the cache line of an address nearer, for writing, and waits for nothing. Any address will do.
static inline void prefetch_for_writing(const void *address) { __builtin_prefetch(address, 1); }
