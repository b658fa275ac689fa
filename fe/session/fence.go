package session

import (
	"context"
	"time"

	"stele/fe/lease"
	"stele/sql/errno"
)

// fenceAfter is how long this FE may go without an answer of the leading one before sessions that have tables of their own are ended
// (fe/lease): the leading FE drops the tables of one that is silent. What temporary_table_keep_s may be is at least twice that.
const fenceAfter = 5 * time.Minute

// newLease is that of the tables of sessions. Nobody drops those of the only FE.
func (sh *Shared) newLease() *lease.Lease {
	l := lease.New(lease.Options{What: "tables of its own", Patience: fenceAfter, Alone: sh.onlyFE, End: sh.End, Logger: sh.Logger})
	l.Prove(time.Now())
	return l
}

func (sh *Shared) onlyFE() bool {
	for fe := range sh.Log.Current().FEs() {
		if fe.Name != sh.Name {
			return false
		}
	}
	return true
}

// renewLease asks the leading FE for a sign of life. Whatever it answers comes too late for the tables of a time without one.
func (sh *Shared) renewLease(ctx context.Context) error {
	begun := time.Now()
	sh.fence()
	_, err := sh.Log.ReadIndex(ctx)
	if err == nil {
		sh.lease.Prove(begun)
	}
	return err
}

// fence ends, when the lease is over, the claims to tables of all sessions, and these: the sweep of whoever comes first drops the tables.
func (sh *Shared) fence() {
	if sh.lease.Runs() {
		return
	}
	var lost []uint64
	sh.claims.open.Range(func(n, conn any) bool {
		lost = sh.lease.Lose(lost, conn.(uint64))
		sh.claims.end(n.(uint64))
		return true
	})
	sh.lease.End(lost)
}

// fenced refuses statements of a session that may have lost tables of its own.
func (s *Session) fenced() error {
	if len(s.temps) == 0 {
		return nil
	}
	if s.sh.fence(); s.sh.lease.Lost(s.info.ID) {
		return sqlErr(errno.ServerShutdown, "This frontend was cut off from the cluster and the session has lost its temporary tables: connect again")
	}
	return nil
}
