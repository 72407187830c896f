#include <hiredis/hiredis.h>
#include <leveldb/c.h>
#include <lmdb.h>
#include <rocksdb/c.h>
#include <sqlite3.h>
#include <zstd.h>
