package clone

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stele/meta/types"
)

// Throttle bounds the bytes that clones move on one disk, in plus out. The rate is read at each use, so that it can be
// changed while clones run; Pressure takes part of it away while writes of users suffer. It is safe for concurrent use.
type Throttle struct {
	rate     func() int64 // bytes per second of one disk; 0 = unlimited
	pressure *Pressure

	mu    sync.Mutex
	disks map[types.DiskID]*rate.Limiter
}

// minBurst is what may pass at once: less would make many short sleeps of one message.
const minBurst = 64 << 10

// minRate is what clones get in any case, in bytes per second: one that hardly moves would be given up for a hung one.
const minRate = 1 << 20

// NewThrottle returns a throttle with the rate that perSecond gives, in bytes. pressure may be nil.
func NewThrottle(perSecond func() int64, pressure *Pressure) *Throttle {
	return &Throttle{rate: perSecond, pressure: pressure, disks: map[types.DiskID]*rate.Limiter{}}
}

// Wait returns when n more bytes may be moved on a disk. It takes them in pieces, so that a message larger than what may
// pass at once is exactly as slow as several small ones.
func (t *Throttle) Wait(ctx context.Context, disk types.DiskID, n int) error {
	return t.waitTelling(ctx, disk, n, nil)
}

// waitTelling is Wait that calls tell, if it is set, every signOfLife: somebody waits for what is being held back.
func (t *Throttle) waitTelling(ctx context.Context, disk types.DiskID, n int, tell func() error) error {
	told := time.Now()
	for n > 0 {
		limit := t.limiter(disk)
		if limit == nil {
			return ctx.Err()
		}
		piece := min(n, limit.Burst())
		if err := limit.WaitN(ctx, piece); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err // the deadline comes before the bytes may pass
		}
		n -= piece
		if now := time.Now(); tell != nil && n > 0 && now.Sub(told) >= signOfLife {
			if err := tell(); err != nil {
				return err
			}
			told = now
		}
	}
	return nil
}

// limiter returns the limiter of a disk at the rate of this moment, nil = unlimited.
func (t *Throttle) limiter(disk types.DiskID) *rate.Limiter {
	perSecond := float64(t.rate())
	if perSecond <= 0 {
		return nil
	}
	if t.pressure != nil {
		perSecond = max(perSecond*t.pressure.Share(time.Now()), min(perSecond, minRate))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.disks[disk]
	burst := max(int(perSecond/20), minBurst) // 50 ms
	if l == nil {
		l = rate.NewLimiter(rate.Limit(perSecond), burst)
		t.disks[disk] = l
	}
	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimit(rate.Limit(perSecond))
		l.SetBurst(burst)
	}
	return l
}
