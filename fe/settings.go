package fe

import (
	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/dist"
	"stele/fe/session"
	"stele/fe/txn"
	"stele/meta/types"
	"stele/sql/plan"
)

// The settings of the parts, read from the live configuration at each use.

func (n *node) heartbeats() cluster.Settings {
	v := n.live.Load()
	return cluster.Settings{Interval: conf.HeartbeatInterval.Get(v), Timeout: conf.HeartbeatTimeout.Get(v), Retries: conf.HeartbeatRetryTimes.Get(v),
		CloneSlots: conf.SlotNumPerPath.Get(v), BalanceSlots: conf.BalanceSlotNumPerPath.Get(v)}
}

func (n *node) writes() txn.Settings {
	v := n.live.Load()
	return txn.Settings{WriteTimeout: conf.WriteTimeout.Get(v), PublishWait: conf.PublishWaitTimeout.Get(v)}
}

func (n *node) scans() dist.Settings {
	v := n.live.Load()
	return dist.Settings{Patience: conf.WriteTimeout.Get(v), MemLimit: conf.QueryMemLimit.Get(v)}
}

func (n *node) sessions() session.Settings {
	v := n.live.Load()
	return session.Settings{QueryMem: conf.QueryMemLimit.Get(v), LockWait: conf.LockWaitTimeout.Get(v), WriteTimeout: conf.WriteTimeout.Get(v),
		Defaults: plan.TableDefaults{Replicas: conf.DefaultReplicationNum.Get(v), Buckets: conf.DefaultBuckets.Get(v)}}
}

// reportBad marks a replica that turned out damaged while it was read.
func (n *node) reportBad(tablet types.TabletID, be types.BEID, cause error) {
	n.log.Warn("replica is damaged", "tablet_id", tablet, "be_id", be, "err", cause)
	n.control.Notify(cluster.Event{Kind: cluster.ReplicaChanged, BE: be, Tablet: tablet})
}
