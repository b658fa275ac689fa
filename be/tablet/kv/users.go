package kv

import (
	"math"
	"sync"
	"sync/atomic"
)

// users counts who reads an instance, so that Close can wait for them: what they read is mapped, and their address may be somebody else's when it
// is not any more. The zero value has none.
type users struct {
	n    atomic.Int64 // far below zero once end was called
	gone chan struct{}
	once sync.Once
}

const ending = math.MinInt64 / 2

func newUsers() *users { return &users{gone: make(chan struct{})} }

// enter is false once end was called, for who has entered before, too: who waits for a reader must not wait for what it begins.
func (u *users) enter() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.leave()
	return false
}

func (u *users) leave() {
	if u.n.Add(-1) == ending {
		u.once.Do(func() { close(u.gone) })
	}
}

// end waits until everybody has left. It is called once.
func (u *users) end() {
	if u.n.Add(ending) != ending {
		<-u.gone
	}
}
