#include <linux/falloc.h>
#include <sys/prctl.h>
#include <stddef.h>
#include <sys/statfs.h>

// glibc declares these for C sources that ask for GNU's extensions, which a Swift module does not.
struct dirent;
int scandirat(
    int directory, const char *name, struct dirent ***entries, int (*select)(const struct dirent *),
    int (*compare)(const struct dirent **, const struct dirent **));
int fallocate(int descriptor, int mode, long offset, long length);
int memfd_create(const char *name, unsigned int flags);
/// memfd_create's flag.
static const unsigned int memfd_close_on_exec = 1;
/// Opens what has a name without reading or writing it.
static const int open_path = 010000000;
/// Finds the second piece of memory in the first. Swift's Glibc module leaves it out.
void *memmem(const void *memory, size_t count, const void *piece, size_t pieceCount);

/// Begins to bring the cache line of an address nearer, for writing, and waits for nothing. Any address will do.
static inline void prefetch_for_writing(const void *address) { __builtin_prefetch(address, 1); }

/// Gives the calling thread a name, of 15 bytes at most. Swift has no call with a variable number of arguments.
static inline void name_this_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
