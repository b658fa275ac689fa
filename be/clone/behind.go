package clone

import "stele/meta/contain"

// behind does the work of one clone. While users have something done on this node it does so on a thread of its own, which gives way to theirs;
// else where its caller is, for a thread that only one goroutine may use costs a clone a third of its rate: the network wakes it for each few
// kilobytes, and what it takes over is in the caches of another processor. One goroutine at a time uses it.
type behind struct {
	users func() bool
	work  chan func() // to the thread; nil = there is none yet
}

// do runs f and returns its error. A panic that contain knows is an error.
func (b *behind) do(f func() error) error {
	if !b.users() {
		return contain.Call(f)
	}
	if b.work == nil {
		b.work = make(chan func())
		go func(work <-chan func()) {
			giveWay()
			for f := range work {
				f()
			}
		}(b.work)
	}
	done := make(chan error, 1)
	b.work <- func() { done <- contain.Call(f) }
	return <-done
}

// end ends the thread.
func (b *behind) end() {
	if b.work != nil {
		close(b.work)
		b.work = nil
	}
}
