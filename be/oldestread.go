package be

import (
	"sync/atomic"
	"time"
)

// readSlack is by how much older a state may be than the statement that reads it, as a frontend may be behind.
const readSlack = 10 * time.Second

// oldestRead is what the leading FE has said last of the oldest state that anybody reads.
type oldestRead struct{ at atomic.Pointer[time.Time] }

// note takes how old it is; 0 = nobody reads any but the newest.
func (o *oldestRead) note(age time.Duration) {
	at := time.Time{}
	if age > 0 {
		at = time.Now().Add(-age - readSlack)
	}
	o.at.Store(&at)
}

// since is when it was the newest; zero = nobody reads any other.
func (o *oldestRead) since() time.Time {
	if at := o.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}
