package write

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"stele/be/tablet"
	"stele/meta/rpc"
	"stele/meta/types"
)

// replica is what the write path remembers of one incarnation of a tablet on this BE, in memory only.
//
// Lock order: gate, letting, mu, Writer.mu, the tablet's.
type replica struct {
	t *tablet.Tablet

	// gate is held shared while rows are being stored, and exclusively to change replacing: what is acknowledged here
	// either is stored before a full clone takes the replica's place, and is carried over, or is refused.
	gate      sync.RWMutex
	replacing bool
	next      *replica // on another disk, after a move; set with gate and mu held

	mu sync.Mutex
	// epoch is the highest that a leader has written with; lower ones are fenced off (I2).
	epoch types.Epoch
	// led is the epoch at which this incarnation, since the BE started, has had every version that was committed before its
	// first write.
	led atomic.Uint64
	// decided holds committed versions that cannot be applied yet, because an earlier one or the pending rows are
	// missing. A clone or a late Replicate fills the gap and applies them.
	decided map[types.Version]decision
	// ahead is set while decided holds anything: rows that become durable may be what it waits for. It is set before anybody looks
	// whether they are, and read after they are.
	ahead atomic.Bool
	// unresolved are transactions found pending when the BE started. Their row locks are gone, so the BE leads no
	// write on this tablet until the FE has told their outcome.
	unresolved map[types.TxnID]bool
	// open are the transactions stored here that are not over, as far as known, with their bytes.
	open      map[types.TxnID]int64
	openBytes int64
	// stuckAt is the version below a gap, since stuckSince; 0 when there is no gap.
	stuckAt    types.Version
	stuckSince time.Time
	changed    chan struct{} // closed when the version may have grown; nil = nobody waits

	// letting is held shared from before a version becomes visible until its transaction has let go of its locks.
	letting sync.RWMutex
}

// decision is a committed transaction: how many parts it has on the tablet, 0 = the FE vouches for this replica, which
// then holds all of them. One that holds fewer has missed the version although it has rows of it (I3).
type decision struct {
	txn   types.TxnID
	parts int
}

const (
	// maxDecided bounds the committed versions remembered ahead of a gap; beyond it nothing is stored any more, and a
	// clone brings the versions.
	maxDecided = 10_000
	// maxAheadBytes bounds what is stored ahead of a gap: pending rows are kept in memory.
	maxAheadBytes = 64 << 20
	// missingGrace is how long a version may be unheard of while a later one is known: publishes overtake one another.
	missingGrace = 3 * time.Second
)

// Why a replica stores nothing at the moment.
var (
	errReplacing = errors.New("a full clone is taking the place of this replica")
	errFarBehind = errors.New("replica lacks a version and has stored too much ahead of it")
)

func newReplica(t *tablet.Tablet) *replica {
	r := &replica{t: t, epoch: t.Meta().Epoch, decided: map[types.Version]decision{}, unresolved: map[types.TxnID]bool{},
		open: map[types.TxnID]int64{}}
	for _, txn := range t.Pending() {
		r.unresolved[txn] = true
		r.open[txn] = 0
	}
	return r
}

// fence accepts an epoch that is not older than any seen.
func (r *replica) fence(ctx context.Context, e types.Epoch) error {
	r.lock(ctx)
	defer r.mu.Unlock()
	return r.fenceLocked(e)
}

func (r *replica) fenceLocked(e types.Epoch) error {
	if e < r.epoch {
		return fmt.Errorf("epoch %d is older than %d", e, r.epoch)
	}
	r.epoch = e
	return nil
}

// admit is fence for a leader, which may be recovering.
func (r *replica) admit(ctx context.Context, e types.Epoch) (recovering bool, err error) {
	r.lock(ctx)
	defer r.mu.Unlock()
	if err := r.fenceLocked(e); err != nil {
		return false, err
	}
	return r.recoveringLocked(), nil
}

// leads reports whether lead was called for an epoch.
func (r *replica) leads(e types.Epoch) bool { return e != 0 && r.led.Load() == uint64(e) }

func (r *replica) lead(ctx context.Context, e types.Epoch) {
	r.lock(ctx)
	defer r.mu.Unlock()
	r.led.Store(max(r.led.Load(), uint64(e)))
}

// recoveringLocked reports whether transactions from before the last start still await their outcome. One that is pending
// no more has been settled by a clone.
func (r *replica) recoveringLocked() bool {
	if len(r.unresolved) == 0 {
		return false
	}
	pending := r.t.Pending()
	maps.DeleteFunc(r.unresolved, func(txn types.TxnID, _ bool) bool {
		_, still := slices.BinarySearch(pending, txn)
		return !still
	})
	return len(r.unresolved) > 0
}

// store makes a part durable as pending, and waits for that.
func (r *replica) store(ctx context.Context, txn types.TxnID, part int, payload []byte) error {
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.next != nil {
		return errMoved
	}
	if err := r.takes(ctx, int64(len(payload))); err != nil {
		return err
	}
	err := r.t.PreparePart(ctx, txn, part, payload)
	r.note(ctx, txn, int64(len(payload)))
	return err
}

// brief reports whether a transaction is published in no time: it is small, not made rowsets of, and nobody is at work on the
// replica, as a move to another disk is for long.
func (r *replica) brief(txn types.TxnID) bool {
	if !r.mu.TryLock() {
		return false
	}
	defer r.mu.Unlock()
	return r.open[txn] <= briefBytes
}

func (r *replica) room(ctx context.Context, bytes int64) error {
	if !r.ahead.Load() { // nothing is decided that cannot be applied
		return nil
	}
	r.lock(ctx)
	defer r.mu.Unlock()
	if len(r.decided) >= maxDecided || len(r.decided) > 0 && r.openBytes+bytes > maxAheadBytes {
		return errFarBehind
	}
	return nil
}

// publish remembers what version v is, and applies what can be applied. The transactions that are over are appended to room.
func (r *replica) publish(room []types.TxnID, v types.Version, d decision, now func() time.Time) ([]types.TxnID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return nil, errMoved
	}
	if len(r.decided) == 0 && r.publishNext(v, d) {
		return append(room, d.txn), nil
	}
	if v <= r.t.Version() || len(r.decided) < maxDecided {
		r.decided[v] = d
		r.ahead.Store(true)
	}
	return r.advanceLocked(room, now)
}

// publishNext publishes a version of which all is there and that follows the last one, as nearly every one does, without remembering it.
// After false, which says nothing, it is remembered and looked at again: rows that come meanwhile look for what is remembered.
func (r *replica) publishNext(v types.Version, d decision) bool {
	if v != r.t.Version()+1 || r.lacks(d) || r.t.Publish(d.txn, v) != nil {
		return false
	}
	r.overLocked(d.txn)
	r.stuckAt = 0
	r.wakeLocked()
	return true
}

// lacks reports whether fewer parts of a transaction are here than it has.
func (r *replica) lacks(d decision) bool { return d.parts > 0 && r.t.PendingParts(d.txn) < d.parts }

// advance publishes decided versions for as long as the next one is there, and returns the transactions that are
// over. It is called after every event that may have closed a gap.
func (r *replica) advance(now func() time.Time) ([]types.TxnID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.advanceLocked(nil, now)
}

func (r *replica) advanceLocked(room []types.TxnID, now func() time.Time) ([]types.TxnID, error) {
	over, err := r.settleLocked(room)
	for {
		next := r.t.Version() + 1
		d, ok := r.decided[next]
		if !ok || r.lacks(d) {
			break // the rows that lack may still arrive, or a clone brings the version
		}
		txn := d.txn
		if perr := r.t.Publish(txn, next); perr != nil {
			if !errors.Is(perr, tablet.ErrUnknownTxn) { // else its rows have not arrived: they still may, or a clone brings the version
				err = errors.Join(err, perr)
			}
			break
		}
		delete(r.decided, next)
		r.overLocked(txn)
		over = append(over, txn)
	}
	r.ahead.Store(len(r.decided) > 0)
	switch {
	case len(r.decided) == 0:
		r.stuckAt = 0
	case r.stuckAt != r.t.Version():
		r.stuckAt, r.stuckSince = r.t.Version(), now()
	}
	r.wakeLocked()
	return over, err
}

// settleLocked lets go of decided versions that a clone has brought in the meantime: their pending rows are superfluous.
func (r *replica) settleLocked(over []types.TxnID) (_ []types.TxnID, err error) {
	have := r.t.Version()
	for v, d := range r.decided {
		if v <= have {
			err = errors.Join(err, r.t.Abort(d.txn))
			delete(r.decided, v)
			r.overLocked(d.txn)
			over = append(over, d.txn)
		}
	}
	return over, err
}

func (r *replica) overLocked(txn types.TxnID) {
	delete(r.unresolved, txn)
	r.openBytes -= r.open[txn]
	delete(r.open, txn)
}

// abort drops an undecided transaction. One that is known to be committed stays: what says otherwise is an answer from
// an FE that has forgotten it.
func (r *replica) abort(txn types.TxnID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return errMoved
	}
	for v, d := range r.decided {
		if d.txn == txn {
			return fmt.Errorf("abort txn %d on tablet %d: it is committed as version %d", txn, r.t.ID(), v)
		}
	}
	err := r.t.Abort(txn)
	r.overLocked(txn)
	return err
}

// unsettled returns the transactions pending here whose outcome is not known.
func (r *replica) unsettled() []types.TxnID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) == 0 {
		return nil
	}
	return r.undecidedLocked()
}

func (r *replica) undecidedLocked() []types.TxnID {
	pending := r.t.Pending()
	for txn := range r.open {
		if _, still := slices.BinarySearch(pending, txn); !still {
			r.overLocked(txn) // settled by a clone
		}
	}
	known := make(map[types.TxnID]bool, len(r.decided))
	for _, d := range r.decided {
		known[d.txn] = true
	}
	return slices.DeleteFunc(pending, func(txn types.TxnID) bool { return known[txn] })
}

// inherit takes over what the replaced incarnation knew.
func (r *replica) inherit(epoch types.Epoch, decided map[types.Version]decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch = max(r.epoch, epoch)
	for v, d := range decided {
		if _, ok := r.decided[v]; !ok {
			r.decided[v] = d
			r.ahead.Store(true)
		}
	}
}

// newest is the highest version that is here. One that is decided and lacks its rows may have been given up meanwhile (ADMIN END METADATA RESTORE).
func (r *replica) newest() uint64 { return uint64(r.t.Version()) }

// lateAfter is how long a version that somebody waits for may be on its way before this BE asks for it.
const lateAfter = 30 * time.Millisecond

// wakeLocked has those look again who wait for a version.
func (r *replica) wakeLocked() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// waitVersion waits until the tablet has version v, at most for wait. late is called when it takes long.
func (r *replica) waitVersion(ctx context.Context, v types.Version, wait time.Duration, late func()) bool {
	timer := time.NewTimer(min(wait, lateAfter))
	defer timer.Stop()
	rest := wait - min(wait, lateAfter)
	for {
		r.mu.Lock()
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		if r.t.Version() >= v {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			if rest == 0 {
				return r.t.Version() >= v
			}
			late()
			timer.Reset(rest)
			rest = 0
		case <-ctx.Done():
			return false
		}
	}
}

// settled returns when the transactions of all versions that are visible have let go of their locks.
func (r *replica) settled(ctx context.Context) {
	if !r.letting.TryLock() {
		rpc.Waits(ctx) // a large transaction takes long to publish
		r.letting.Lock()
	}
	r.letting.Unlock()
}

// missing returns the version that keeps later ones, known to be committed, from being applied, when only a clone can
// bring it: its rows are not here, or nobody has told of it for a while and it is none of those being asked about.
func (r *replica) missing(now time.Time) types.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.decided) == 0 {
		return 0
	}
	next := r.t.Version() + 1
	if _, told := r.decided[next]; told {
		return next
	}
	if now.Sub(r.stuckSince) < missingGrace || len(r.undecidedLocked()) > 0 {
		return 0
	}
	return next
}
