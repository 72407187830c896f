import CoreMetrics
import Metrics

/// The store's metrics, as the process's metrics system takes them. All names begin with `writebehind_`.
struct StoreMetrics: Sendable {
    let writes = Counter(label: "writebehind_writes")
    let blocks = Counter(label: "writebehind_blocks")
    let rawBytes = Counter(label: "writebehind_raw_bytes")
    let packedBytes = Counter(label: "writebehind_packed_bytes")
    let flushTime = Timer(label: "writebehind_flush_time")
    let syncTime = Timer(label: "writebehind_sync_time")
    let batchRecords = Recorder(label: "writebehind_batch_records")
    let batchTime = Timer(label: "writebehind_batch_time")
    /// Log records per change that reached the database.
    let coalescing = Recorder(label: "writebehind_coalescing_ratio")
    /// Adds that changed nothing, as the primary database saw.
    let addsWithoutRow = Counter(label: "writebehind_adds_without_row")
    let retries = Counter(label: "writebehind_retries")
    let quarantined = Gauge(label: "writebehind_quarantined_commits")
    let snapshots = Counter(label: "writebehind_snapshots")
    let snapshotTime = Timer(label: "writebehind_snapshot_time")
    let snapshotBytes = Gauge(label: "writebehind_snapshot_bytes")
    let deletedFiles = Counter(label: "writebehind_deleted_files")
    let deletedBytes = Counter(label: "writebehind_deleted_bytes")
    let mergedSegments = Counter(label: "writebehind_merged_segments")
    let lagRecords = Gauge(label: "writebehind_lag_records")
    let lagBytes = Gauge(label: "writebehind_lag_bytes")
    let lagSeconds = Gauge(label: "writebehind_lag_seconds")
    let cacheHits = Counter(label: "writebehind_cache_hits")
    let cacheMisses = Counter(label: "writebehind_cache_misses")
    let cacheEvictions = Counter(label: "writebehind_cache_evictions")
    let cacheBytes = Gauge(label: "writebehind_cache_bytes")
    let dirtyBytes = Gauge(label: "writebehind_dirty_bytes")
    let quarantinedBytes = Gauge(label: "writebehind_quarantined_bytes")
    let indexBytes = Gauge(label: "writebehind_index_bytes")
    let indexRows = Gauge(label: "writebehind_index_rows")
    /// Indices that cannot be read: those that are being built, and those that have stopped.
    let unreadyIndices = Gauge(label: "writebehind_indices_not_ready")

    /// Publishes what the cache view has counted since the last call.
    func publish(_ now: CacheStatistics, since before: CacheStatistics) {
        cacheHits.increment(by: now.hits - before.hits)
        cacheMisses.increment(by: now.misses - before.misses)
        cacheEvictions.increment(by: now.evictions - before.evictions)
        cacheBytes.record(now.residentBytes)
        dirtyBytes.record(now.dirtyBytes)
        quarantinedBytes.record(now.pinnedBytes)
    }

    func publish(_ indices: [Health.Index]) {
        indexBytes.record(indices.reduce(0) { $0 + $1.bytes })
        indexRows.record(indices.reduce(0) { $0 + $1.rows })
        unreadyIndices.record(indices.count { $0.state != .ready })
    }

    func publish(_ lag: Health.Lag) {
        lagRecords.record(lag.records)
        lagBytes.record(lag.bytes)
        lagSeconds.record(lag.seconds)
    }
}
