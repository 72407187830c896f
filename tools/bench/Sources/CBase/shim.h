#include <sqlite3.h>
#include <zdict.h>
#include <zstd.h>
