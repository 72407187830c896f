#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/types.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
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

// linux/fs.h has these two, and constants that the C library declares as well.
struct clone_range {
    __s64 source;
    __u64 source_offset, source_length, target_offset;
};
static const unsigned long clone_range_request = _IOW(0x94, 13, struct clone_range);
static const unsigned long extents_request = _IOWR('f', 11, struct fiemap);

/// Whether copies of a file of this length can share its blocks: 0 if they can, otherwise -1 and errno. It clones the empty
/// range at the file's end, which changes nothing.
static inline int can_share_blocks(int descriptor, long length) {
    struct clone_range nothing = {descriptor, (__u64)length, 0, (__u64)length};
    return ioctl(descriptor, clone_range_request, &nothing);
}

/// Whether a range of a file shares blocks with another file: 1 or 0; -1 and errno if that cannot be found out.
static inline int shares_blocks(int descriptor, long start, long length) {
    const unsigned count = 32;
    union {
        struct fiemap map;
        char bytes[sizeof(struct fiemap) + 32 * sizeof(struct fiemap_extent)];
    } answer;
    const __u64 end = (__u64)(start + length);
    __u64 next = (__u64)start;
    while (next < end) {
        memset(&answer.map, 0, sizeof answer.map);
        answer.map.fm_start = next;
        answer.map.fm_length = end - next;
        answer.map.fm_extent_count = count;
        if (ioctl(descriptor, extents_request, &answer.map) != 0) return -1;
        if (answer.map.fm_mapped_extents == 0) return 0;
        for (unsigned index = 0; index < answer.map.fm_mapped_extents; index++) {
            const struct fiemap_extent *extent = &answer.map.fm_extents[index];
            if (extent->fe_flags & FIEMAP_EXTENT_SHARED) return 1;
            if (extent->fe_flags & FIEMAP_EXTENT_LAST) return 0;
            next = extent->fe_logical + extent->fe_length;
        }
    }
    return 0;
}

/// Gives the calling thread a name, of 15 bytes at most. Swift has no call with a variable number of arguments.
static inline void name_this_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
