#include <sqlite3.h>
#include <zstd.h>
