package session

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxUserLocks bounds the names that the sessions of an FE hold.
const maxUserLocks = 1 << 16

// userLocks are the locks of GET_LOCK: names that at most one session of this FE holds at a time. They are memory of this FE
// alone, so they are given only where it is the only one.
type userLocks struct {
	mu      sync.Mutex
	held    map[string]*userLock // by name in lower case
	waiting map[*Session]string  // the name that a session waits for
}

// userLock is a name that is held.
type userLock struct {
	by    *Session
	times int
	freed chan struct{} // closed when it is not held any more
}

func newUserLocks() *userLocks {
	return &userLocks{held: map[string]*userLock{}, waiting: map[*Session]string{}}
}

// sessionLocks are the locks as one statement of a session asks for them.
type sessionLocks struct {
	ctx context.Context
	s   *Session
}

// lockName checks a name.
func lockName(name string) (string, error) {
	const longest = 64 // characters, as MySQL's
	if n := utf8.RuneCountInString(name); n == 0 || n > longest {
		return "", sqlErr(3057, "42000", "Incorrect user-level lock name '%s'.", name)
	}
	return strings.ToLower(name), nil
}

// Get waits for a lock; a negative number of seconds is for ever. Got is false when the time is over.
func (l sessionLocks) Get(name string, seconds float64) (got bool, err error) {
	if name, err = lockName(name); err != nil {
		return false, err
	}
	if err := l.alone(); err != nil {
		return false, err
	}
	var late <-chan time.Time
	if seconds >= 0 {
		const longest = 1 << 31
		timer := time.NewTimer(time.Duration(min(seconds, longest) * float64(time.Second)))
		defer timer.Stop()
		late = timer.C
	}
	defer l.s.sh.locks.stopWaiting(l.s)
	for {
		freed, err := l.s.sh.locks.try(l.s, name, seconds != 0)
		if err != nil || freed == nil {
			return err == nil, err
		}
		select {
		case <-freed:
		case <-late:
			return false, nil
		case <-l.ctx.Done():
			return false, context.Cause(l.ctx)
		}
	}
}

// alone refuses locks that would hold on this FE and not on others.
func (l sessionLocks) alone() error {
	frontends := 0
	for range l.s.sh.Log.Current().FEs() {
		frontends++
	}
	if frontends > 1 {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'GET_LOCK in a cluster of several frontends'")
	}
	return nil
}

// try takes a lock; else it returns what is closed when the lock is free. Who is about to wait must not be waited for.
func (u *userLocks) try(s *Session, name string, waits bool) (freed <-chan struct{}, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.held[name]
	switch {
	case k == nil && len(u.held) >= maxUserLocks:
		return nil, sqlErr(1105, "HY000", "%d user-level locks are held already", maxUserLocks)
	case k == nil:
		u.held[name] = &userLock{by: s, times: 1, freed: make(chan struct{})}
		return nil, nil
	case k.by == s:
		k.times++
		return nil, nil
	case waits && u.circle(s, k):
		return nil, sqlErr(3058, "HY000", "Deadlock found when trying to get user-level lock; try rolling back transaction/releasing locks "+
			"and restarting lock acquisition.")
	}
	u.waiting[s] = name
	return k.freed, nil
}

// circle reports whether the holder of a lock waits, perhaps through others, for s.
func (u *userLocks) circle(s *Session, k *userLock) bool {
	for k != nil && k.by != s {
		name, waits := u.waiting[k.by]
		if !waits {
			return false
		}
		k = u.held[name]
	}
	return k != nil
}

func (u *userLocks) stopWaiting(s *Session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waiting, s)
}

// Release gives a lock back once; there is false when nobody holds it.
func (l sessionLocks) Release(name string) (mine, there bool, err error) {
	if name, err = lockName(name); err != nil {
		return false, false, err
	}
	u := l.s.sh.locks
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.held[name]
	if k == nil || k.by != l.s {
		return false, k != nil, nil
	}
	if k.times--; k.times == 0 {
		u.free(name, k)
	}
	return true, true, nil
}

func (u *userLocks) free(name string, k *userLock) {
	delete(u.held, name)
	close(k.freed)
}

// ReleaseAll gives back all locks of the session and returns how often they were taken.
func (l sessionLocks) ReleaseAll() int { return l.s.sh.locks.releaseAll(l.s) }

func (u *userLocks) releaseAll(s *Session) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, k := range u.held {
		if k.by == s {
			n += k.times
			u.free(name, k)
		}
	}
	return n
}

// Holder returns the connection that holds a lock, 0 = nobody.
func (l sessionLocks) Holder(name string) (connection uint64, err error) {
	if name, err = lockName(name); err != nil {
		return 0, err
	}
	if err := l.alone(); err != nil {
		return 0, err
	}
	u := l.s.sh.locks
	u.mu.Lock()
	defer u.mu.Unlock()
	if k := u.held[name]; k != nil {
		return k.by.info.ID, nil
	}
	return 0, nil
}
