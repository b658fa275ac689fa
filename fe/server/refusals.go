package server

import (
	"sync"
	"time"
)

// refusalsPerSecond bounds the lines that failed logins write: strangers must not fill the disk.
const refusalsPerSecond = 5

// refusals writes failed logins to the log, a few a second, and how many it has left out.
type refusals struct {
	mu     sync.Mutex
	second int64
	n      int
	left   int // out, since the last line
}

// allow reports whether a refusal at a time is written, and how many were left out before it.
func (r *refusals) allow(now time.Time) (left int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := now.Unix(); s != r.second {
		r.second, r.n = s, 0
	}
	if r.n++; r.n > refusalsPerSecond {
		r.left++
		return 0, false
	}
	left, r.left = r.left, 0
	return left, true
}

// refused counts a login that failed and writes who tried it from where. The name is the stranger's word for it, and cut.
func (s *Server) refused(id uint64, user, host string, err error) {
	const longest = 64
	s.count.loginFailures.Add(1)
	left, ok := s.refusals.allow(time.Now())
	if !ok {
		return
	}
	if len(user) > longest {
		user = user[:longest]
	}
	s.cfg.Log.Warn("login refused", "conn", id, "user", user, "host", host, "err", err, "unwritten", left)
}
