package fe

import (
	"sync/atomic"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/dist"
	"stele/fe/opctl"
	"stele/fe/sched"
	"stele/fe/session"
	"stele/fe/txn"
	"stele/meta/types"
	"stele/proto/fepb"
	"stele/sql/define"
)

// The settings of the parts, read from the live configuration at each use.

func (n *node) heartbeats() cluster.Settings {
	v := n.live.Load()
	return cluster.Settings{Interval: conf.HeartbeatInterval.Get(v), Timeout: conf.HeartbeatTimeout.Get(v), Retries: conf.HeartbeatRetryTimes.Get(v),
		CloneSlots: conf.SlotNumPerPath.Get(v), BalanceSlots: conf.BalanceSlotNumPerPath.Get(v)}
}

func (n *node) operations() opctl.Settings {
	v := n.live.Load()
	return opctl.Settings{AutoFailover: conf.AutoFailover.Get(v), Timeout: conf.OpTimeout.Get(v), RecoverEmpty: conf.RecoverWithEmptyTablet.Get(v)}
}

// publishBacklog is far above what a BE that keeps up has waiting, and far below what hurts.
const publishBacklog = 1024

// derived returns what follows from the configuration, worked out once for each state of it: statements ask for it.
func derived[T any](live *conf.Live, from func(*conf.Values) T) func() T {
	type state struct {
		of *conf.Values
		is T
	}
	var last atomic.Pointer[state]
	return func() T {
		v := live.Load()
		s := last.Load()
		if s == nil || s.of != v {
			s = &state{v, from(v)}
			last.Store(s)
		}
		return s.is
	}
}

func writeSettings(v *conf.Values) txn.Settings {
	return txn.Settings{WriteTimeout: conf.WriteTimeout.Get(v), PublishBacklog: publishBacklog, PublishWait: conf.PublishWaitTimeout.Get(v),
		RedoBytes: int(conf.RedoMaxBytes.Get(v)), Failover: conf.AutoFailover.Get(v)}
}

func scanSettings(v *conf.Values) dist.Settings {
	return dist.Settings{Patience: conf.WriteTimeout.Get(v), MemLimit: conf.QueryMemLimit.Get(v), SpillDir: conf.FETmpDir.Get(v)}
}

func sessionSettings(v *conf.Values) session.Settings {
	return session.Settings{QueryMem: conf.QueryMemLimit.Get(v), SpillDir: conf.FETmpDir.Get(v), LockWait: conf.LockWaitTimeout.Get(v), WriteTimeout: conf.WriteTimeout.Get(v),
		TemporaryKeep: conf.TemporaryTableKeep.Get(v),
		Defaults:      define.Defaults{Replicas: conf.DefaultReplicationNum.Get(v), Buckets: conf.DefaultBuckets.Get(v)}}
}

// reportBad marks a replica that turned out damaged while it was read.
func (n *node) reportBad(tablet types.TabletID, be types.BEID, cause error) {
	n.log.Warn("replica is damaged", "tablet_id", tablet, "be_id", be, "err", cause)
	if !n.quorum.Leads() {
		n.suspects.add(&fepb.SuspectRequest{Fe: n.name, BeIds: []uint64{uint64(be)}, TabletIds: []uint64{uint64(tablet)}})
		return
	}
	n.control.Notify(cluster.Event{Kind: cluster.ReplicaChanged, BE: be, Tablet: tablet})
}

// limits are the bounds of the control loop.
func (n *node) limits() sched.Limits {
	v := n.live.Load()
	return sched.Limits{
		RepairSlots: conf.SlotNumPerPath.Get(v), BalanceSlots: conf.BalanceSlotNumPerPath.Get(v),
		MaxScheduling: conf.MaxSchedulingTablets.Get(v), MaxBalancing: conf.MaxBalancingTablets.Get(v),
		StallMs:      conf.TaskStallTimeout.Get(v).Milliseconds(),
		MinTimeoutMs: conf.MinCloneTaskTimeout.Get(v).Milliseconds(), MaxTimeoutMs: conf.MaxCloneTaskTimeout.Get(v).Milliseconds(),
		ToleranceMs: conf.BEDownTolerateTime.Get(v).Milliseconds(), DelayFactorMs: conf.RepairDelayFactor.Get(v).Milliseconds(),
		FullCloneDelayMs: conf.ConsecutiveFullCloneDelay.Get(v).Milliseconds(), MaxNotScheduledMs: conf.MaxNotScheduledInterval.Get(v).Milliseconds(),
		ScanMs: conf.CheckerInterval.Get(v).Milliseconds(), BalanceThreshold: conf.BalanceLoadScoreThreshold.Get(v),
		HighWater: conf.CapacityUsedHighWater.Get(v), SoftLimitPercent: conf.StorageSoftLimitPercent.Get(v),
		SoftLimitReserve: conf.StorageSoftLimitReserve.Get(v), DisableBalance: conf.DisableBalance.Get(v),
		DropDecommissioned: conf.DropBackendAfterDecommission.Get(v), StrictMedium: conf.StrictStorageMedium.Get(v),
	}
}
