package session

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"stele/fe/userlock"
	"stele/sql/errno"
)

// sessionLocks are the locks of GET_LOCK as one statement of a session asks for them.
type sessionLocks struct {
	ctx context.Context
	s   *Session
}

// lockName checks a name.
func lockName(name string) (string, error) {
	const longest = 64 // characters, as MySQL's
	if n := utf8.RuneCountInString(name); n == 0 || n > longest {
		return "", sqlErr(errno.WrongLockName, "Incorrect user-level lock name '%s'.", name)
	}
	return strings.ToLower(name), nil
}

// Get waits for a lock; a negative number of seconds is for ever. Got is false when the time is over.
func (l sessionLocks) Get(name string, seconds float64) (got bool, err error) {
	if name, err = lockName(name); err != nil {
		return false, err
	}
	wait := time.Duration(-1)
	if seconds >= 0 {
		const longest = 1 << 31
		wait = time.Duration(min(seconds, longest) * float64(time.Second))
	}
	l.s.mayLockNames = true
	got, err = l.s.sh.UserLocks.Get(l.ctx, name, l.s.info.ID, wait)
	if cause := context.Cause(l.ctx); err != nil && cause != nil {
		return false, cause
	}
	return got, lockError(err)
}

// lockError gives an error MySQL's number.
func lockError(err error) error {
	switch {
	case errors.Is(err, userlock.ErrCircle):
		return sqlErr(errno.UserLockDeadlock, "Deadlock found when trying to get user-level lock; try rolling back transaction/releasing locks "+
			"and restarting lock acquisition.")
	case errors.Is(err, userlock.ErrFull), errors.Is(err, userlock.ErrLost):
		return sqlErr(errno.UnknownError, "%v", err)
	}
	return err
}

// keepsLocks refuses a statement of a session whose user-level locks may be another's by now.
func (s *Session) keepsLocks() error {
	if !s.mayLockNames {
		return nil
	}
	return lockError(s.sh.UserLocks.Check(s.info.ID))
}

// endLocks gives back what the session holds when it ends.
func (s *Session) endLocks() {
	if s.mayLockNames {
		s.sh.UserLocks.Ended(s.info.ID)
		s.mayLockNames = false
	}
}

// Release gives a lock back once; there is false when nobody holds it.
func (l sessionLocks) Release(name string) (mine, there bool, err error) {
	if name, err = lockName(name); err != nil {
		return false, false, err
	}
	return l.s.sh.UserLocks.Release(l.ctx, name, l.s.info.ID)
}

// ReleaseAll gives back all locks of the session and returns how often they were taken.
func (l sessionLocks) ReleaseAll() int { return l.s.sh.UserLocks.ReleaseAll(l.ctx, l.s.info.ID) }

// Holder returns the connection that holds a lock, 0 = nobody.
func (l sessionLocks) Holder(name string) (connection uint64, err error) {
	if name, err = lockName(name); err != nil {
		return 0, err
	}
	return l.s.sh.UserLocks.Holder(l.ctx, name)
}
