package session

import (
	"context"
	"sync/atomic"
	"time"
)

// An FE that is silent for long loses the tables of its sessions: the leading FE drops them, since a machine that is gone never says that
// its sessions have ended. One that was only cut off, or stopped, has sessions that live. They are not to find others' tables under the names of
// theirs, so they are ended long before: the leading FE counts from when it last heard of this one, which is no sooner than this one has
// begun to ask what was answered.

// fenceAfter is how long this FE may go without an answer of the leading one before sessions that have tables of their own are ended. What
// temporary_table_keep_s may be is at least twice that.
const fenceAfter = 5 * time.Minute

// touch is when this FE last began to ask something that the leading one has answered.
type touch struct{ at atomic.Pointer[time.Time] }

func (t *touch) note(at time.Time) { t.at.Store(&at) }

// cutOff reports whether that is too long ago. Nobody drops the tables of the only FE.
func (sh *Shared) cutOff(now time.Time) bool {
	if now.Sub(*sh.touch.at.Load()) <= fenceAfter {
		return false
	}
	for fe := range sh.Log.Current().FEs() {
		if fe.Name != sh.Name {
			return true
		}
	}
	return false
}

// keepTouch asks the leading FE for a sign of life. Whatever it answers comes too late for the tables of a time without touch.
func (sh *Shared) keepTouch(ctx context.Context) error {
	begun := time.Now()
	if sh.cutOff(begun) {
		sh.fence()
	}
	_, err := sh.Log.ReadIndex(ctx)
	if err == nil {
		sh.touch.note(begun)
	}
	return err
}

// fence ends the claims to tables of all sessions, and these: the sweep of whoever comes first drops the tables.
func (sh *Shared) fence() {
	sh.claims.open.Range(func(n, conn any) bool {
		sh.claims.end(n.(uint64))
		sh.Logger.Warn("a session with tables of its own is ended: this frontend was cut off from the cluster", "conn", conn)
		if sh.End != nil {
			sh.End(conn.(uint64))
		}
		return true
	})
}

// fenced refuses statements of a session that may have lost tables of its own.
func (s *Session) fenced() error {
	if len(s.temps) == 0 {
		return nil
	}
	if s.sh.cutOff(time.Now()) {
		s.sh.fence()
	}
	for _, own := range s.temps {
		if !s.sh.claims.has(own.claim) {
			return sqlErr(1053, "08S01", "This frontend was cut off from the cluster and the session has lost its temporary tables: connect again")
		}
	}
	return nil
}
