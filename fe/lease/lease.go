// Package lease ends what the sessions of an FE hold on the word of the leading FE, when this FE was cut off for too long: others may have it by
// then. See DESIGN.md.
package lease

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// ErrLost says that what a session held may be another's by now.
var ErrLost = errors.New("this frontend was cut off from the cluster")

// Options are what a Lease needs.
type Options struct {
	What     string // the sessions hold, for the log
	Patience time.Duration
	// Alone reports whether nobody else could have it; nil = never.
	Alone func() bool
	// End ends a client connection; nil = there are none.
	End    func(connection uint64)
	Now    func() time.Time
	Logger *slog.Logger
}

// Lease is the time for which an FE may take what its sessions hold of one kind for theirs. It is safe for concurrent use, and takes no other lock.
type Lease struct {
	o Options

	mu    sync.Mutex
	proof time.Time       // when the question was begun that the leading FE has answered last
	lost  map[uint64]bool // connections that have lost something and have not ended yet
}

// New returns a lease without a proof.
func New(o Options) *Lease {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Lease{o: o, lost: map[uint64]bool{}}
}

// Prove takes in that the leading FE has answered a question that was begun at a time.
func (l *Lease) Prove(begun time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if begun.After(l.proof) {
		l.proof = begun
	}
}

// Age is how old the last proof is.
func (l *Lease) Age() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.o.Now().Sub(l.proof)
}

// Runs reports whether nobody else can have what is held here.
func (l *Lease) Runs() bool {
	return l.Age() < l.o.Patience || l.o.Alone != nil && l.o.Alone()
}

// Lose has a connection refused until it has ended, and appends it to those that End is to be told. Who holds something for it gives that up in
// the same breath.
func (l *Lease) Lose(ending []uint64, connection uint64) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost[connection] {
		return ending
	}
	l.lost[connection] = true
	return append(ending, connection)
}

// End ends connections that have lost something: nothing else would tell their clients. Hold no lock.
func (l *Lease) End(ending []uint64) {
	for _, connection := range ending {
		l.o.Logger.Warn("a session may have lost what it holds and is ended", "conn", connection, "held", l.o.What)
		if l.o.End != nil {
			l.o.End(connection)
		}
	}
}

// Lost reports whether a connection has lost something.
func (l *Lease) Lost(connection uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost[connection]
}

// Ended forgets a connection, which holds nothing any more.
func (l *Lease) Ended(connection uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lost, connection)
}
