package be

import (
	"log/slog"

	"stele/be/host"
	"stele/be/tablet"
	"stele/conf"
	"stele/meta/types"
)

// storeOptions are the options of the store of one disk.
func storeOptions(v *conf.Values, r host.Root, cluster types.ClusterID, log *slog.Logger) tablet.Options {
	return tablet.Options{
		Logger: log, ClusterID: cluster, Medium: r.Medium, Capacity: r.Capacity,
		FloodBytes: conf.FloodStageLeftCapacity.Get(v), FloodPercent: 100 - conf.FloodStageUsagePercent.Get(v),
		MemLimit: conf.BEMemLimit.Get(v) / 4,
		Retention: tablet.Retention{Versions: conf.RetentionVersions.Get(v), Age: conf.RetentionTime.Get(v),
			Bytes: conf.RetentionBytes.Get(v)},
		Flush: tablet.FlushLimits{Rows: conf.DeltaFlushRows.Get(v), Bytes: conf.DeltaFlushBytes.Get(v)},
	}
}
