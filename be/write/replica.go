package write

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
)

// replica is what the write path remembers of one tablet on this BE, in memory only.
type replica struct {
	mu sync.Mutex
	// epoch is the highest that a leader has written with; lower ones are fenced off (I2).
	epoch types.Epoch
	// decided holds committed versions that cannot be applied yet, because an earlier one or the pending rows are
	// missing. A clone or a late Replicate fills the gap and applies them.
	decided map[types.Version]types.TxnID
	// unresolved are transactions found pending when the BE started. Their row locks are gone, so the BE leads no
	// write on this tablet until the FE has told their outcome.
	unresolved map[types.TxnID]bool
	changed    chan struct{} // closed and replaced whenever the version grows
}

// maxDecided bounds the committed versions remembered ahead of a gap; beyond it a clone brings them.
const maxDecided = 10000

func newReplica(pending []types.TxnID) *replica {
	r := &replica{decided: map[types.Version]types.TxnID{}, unresolved: map[types.TxnID]bool{}, changed: make(chan struct{})}
	for _, txn := range pending {
		r.unresolved[txn] = true
	}
	return r
}

// fence accepts an epoch that is not older than any seen.
func (r *replica) fence(e types.Epoch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e < r.epoch {
		return fmt.Errorf("epoch %d is older than %d", e, r.epoch)
	}
	r.epoch = e
	return nil
}

// recovering reports whether transactions from before the last start still await their outcome.
func (r *replica) recovering() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unresolved) > 0
}

// decide remembers that txn is version v.
func (r *replica) decide(v types.Version, txn types.TxnID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.decided) < maxDecided {
		r.decided[v] = txn
	}
}

// advance publishes decided versions for as long as the next one is there, and returns the transactions that are
// over. It is called after every event that may have closed a gap.
func (r *replica) advance(t *tablet.Tablet) ([]types.TxnID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var over []types.TxnID
	var err error
	for v, txn := range r.decided { // what a clone has brought in the meantime: the pending rows are superfluous
		if v <= t.Version() {
			err = errors.Join(err, t.Abort(txn))
			delete(r.decided, v)
			delete(r.unresolved, txn)
			over = append(over, txn)
		}
	}
	for {
		next := t.Version() + 1
		txn, ok := r.decided[next]
		if !ok {
			break
		}
		if perr := t.Publish(txn, next); perr != nil {
			if !errors.Is(perr, tablet.ErrUnknownTxn) { // else its rows never arrived: a clone will bring the version
				err = errors.Join(err, perr)
			}
			break
		}
		delete(r.decided, next)
		delete(r.unresolved, txn)
		over = append(over, txn)
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return over, err
}

// forget drops an aborted transaction.
func (r *replica) forget(txn types.TxnID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.unresolved, txn)
}

// waitVersion waits until the tablet has version v, at most for wait.
func (r *replica) waitVersion(ctx context.Context, t *tablet.Tablet, v types.Version, wait time.Duration) bool {
	var timeout <-chan time.Time
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if t.Version() >= v {
			return true
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
			return t.Version() >= v
		case <-ctx.Done():
			return false
		}
	}
}

// missing returns the lowest version that is known to be committed and cannot be applied for want of its rows.
func (r *replica) missing(t *tablet.Tablet) types.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.decided) == 0 {
		return 0
	}
	return t.Version() + 1
}
