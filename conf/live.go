package conf

import (
	"sync"
	"sync/atomic"
)

// Live is the current configuration of a running process: readers take a snapshot without a lock, writers replace it.
type Live struct {
	current atomic.Pointer[Values]

	mu    sync.Mutex // serialises Set and guards hooks; hooks run under it
	next  int
	hooks map[int]func(old, now *Values)
}

// NewLive starts from the values of a file.
func NewLive(v *Values) *Live {
	l := &Live{hooks: map[int]func(old, now *Values){}}
	l.current.Store(v)
	return l
}

// Load returns the current snapshot. Take it once per piece of work, not once per item.
func (l *Live) Load() *Values { return l.current.Load() }

// Set changes one mutable item, runs the hooks in the order of their registration and returns the new snapshot. The
// error is as Values.With describes, and then nothing has changed.
func (l *Live) Set(key, text string) (*Values, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.current.Load()
	now, err := old.With(key, text)
	if err != nil {
		return nil, err
	}
	l.current.Store(now)
	for id := range l.next {
		if hook := l.hooks[id]; hook != nil {
			hook(old, now)
		}
	}
	return now, nil
}

// OnChange registers a hook that hears of every change after it took effect. A hook must be quick, must tolerate being
// told the same thing twice, and must not call Set or OnChange. The returned function removes it.
func (l *Live) OnChange(hook func(old, now *Values)) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.next
	l.next++
	l.hooks[id] = hook
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.hooks, id)
	}
}
