package be

import (
	"log/slog"

	"stele/be/host"
	"stele/be/tablet"
	"stele/conf"
	"stele/meta/types"
)

// storeOptions are the options of the store of one of several disks; share is its share of the memory.
func storeOptions(live *conf.Live, reads *oldestRead, share int64, r host.Root, cluster types.ClusterID, log *slog.Logger) tablet.Options {
	v := live.Load()
	return tablet.Options{
		Logger: log, ClusterID: cluster, Medium: r.Medium, Capacity: r.Capacity,
		FloodBytes: conf.FloodStageLeftCapacity.Get(v), FloodPercent: 100 - conf.FloodStageUsagePercent.Get(v),
		MemLimit: share / 4, CacheBytes: min(max(share/8, leastCaches), mostCaches), OrderBytes: share / 8,
		MemtableBytes: min(max(share/64, leastMemtable), mostMemtable), // ten of them, five half as large: an eighth of the share
		ReadAge:       conf.ReadAge.Get(v),
		Tuning:        func() tablet.Tuning { return storeTuning(live.Load(), reads) },
	}
}

const (
	// leastCaches is twice what Badger needs to find its values at all, mostCaches beyond what it makes use of: row groups are
	// mapped, and cached as far as blocks of them are decoded.
	leastCaches = 28 << 20
	mostCaches  = 2 << 30

	leastMemtable = 8 << 20
	mostMemtable  = 32 << 20
)

// storeTuning is what may change while the store runs.
func storeTuning(v *conf.Values, reads *oldestRead) tablet.Tuning {
	return tablet.Tuning{
		ReadAge: conf.ReadAge.Get(v), OldestRead: reads.since(),
		Retention: tablet.Retention{Versions: conf.RetentionVersions.Get(v), Age: conf.RetentionTime.Get(v),
			Bytes: conf.RetentionBytes.Get(v)},
		Flush: tablet.FlushLimits{Rows: conf.DeltaFlushRows.Get(v), Bytes: conf.DeltaFlushBytes.Get(v), Age: conf.DeltaFlushAge.Get(v)},
		Compaction: tablet.CompactionLimits{FanIn: conf.CompactionFanIn.Get(v), MaxRowsets: conf.CompactionMaxRowsets.Get(v),
			DeadPercent: conf.CompactionDeadPercent.Get(v)},
		BackgroundBytes: conf.BackgroundBytesPerSecond.Get(v),
		ScrubBytes:      conf.ScrubBytesPerSecond.Get(v), ScrubEvery: conf.ScrubInterval.Get(v),
	}
}
