#include <sys/prctl.h>
#include <sys/statfs.h>

/// Begins to bring the cache line of an address nearer, for writing, and waits for nothing. Any address will do.
static inline void prefetch_for_writing(const void *address) { __builtin_prefetch(address, 1); }

/// Gives the calling thread a name, of 15 bytes at most. Swift has no call with a variable number of arguments.
static inline void name_this_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
