#include <linux/falloc.h>
#include <sys/statfs.h>

// glibc declares these for C sources that ask for GNU's extensions, which a Swift module does not.
struct dirent;
int scandirat(
    int directory, const char *name, struct dirent ***entries, int (*select)(const struct dirent *),
    int (*compare)(const struct dirent **, const struct dirent **));
int fallocate(int descriptor, int mode, long offset, long length);
/// Opens what has a name without reading or writing it.
static const int open_path = 010000000;

/// Begins to bring the cache line of an address nearer, for writing, and waits for nothing. Any address will do.
static inline void prefetch_for_writing(const void *address) { __builtin_prefetch(address, 1); }
