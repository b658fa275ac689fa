// Package scan runs plan fragments next to the rows: it pins one version of each tablet, streams its rows through the
// fragment's operators and hands over encoded batches.
//
// Scan streams, tablet by tablet at the same time if the FE likes, and aggregates many rows of several tablets in a lane for each
// processor; Get (rows by keys) and Fetch (few rows of several tablets) answer at
// once, and say so when the answer is for Scan.
//
// It never serves older rows than asked for: a tablet that does not have the version yet waits for it briefly and then
// says so. Nor does it serve those of another replica than the one that is asked for. It holds no state but a count of what runs.
package scan

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/errno"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// VersionWait is how long a tablet waits for a version that is committed but not published here yet: publishing
// takes milliseconds, and another replica is a call away.
const VersionWait = 500 * time.Millisecond

// Scanner runs fragments. It is safe for concurrent use.
type Scanner struct {
	tablets write.Tablets
	writer  *write.Writer
	running atomic.Int64
	decoded fragments
	rows    rowCache
	mem     *exec.Memory // of all fragments together, nil = each its own limit
}

// New returns a scanner over the tablets.
func New(tablets write.Tablets, writer *write.Writer) *Scanner {
	return &Scanner{tablets: tablets, writer: writer}
}

// LimitMemory has all fragments together, and what else shares mem, hold no more than it has. It is called before the first.
func (s *Scanner) LimitMemory(mem *exec.Memory) { s.mem = mem }

// Running returns how many scans are under way.
func (s *Scanner) Running() int { return int(s.running.Load()) }

// Scan runs the fragment over the tablets and calls send with each encoded batch.
func (s *Scanner) Scan(ctx context.Context, req *bepb.ScanRequest, send func([]byte) error) error {
	s.running.Add(1)
	defer s.running.Add(-1)
	f, err := physical.DecodeFragment(req.Fragment)
	if err != nil {
		return err
	}
	return s.run(ctx, req, f, math.MaxInt64, send)
}

func exprContext(f *physical.Fragment, nowMicros int64) (expr.Context, error) {
	loc := time.UTC
	if f.TimeZone != "" {
		var err error
		if loc, err = sqltypes.LoadLocation(f.TimeZone, time.UTC); err != nil {
			return expr.Context{}, err
		}
	}
	return expr.Context{Loc: loc, NowMicros: nowMicros}, nil
}

// pump runs the fragment over the rows of all tablets.
func pump(ctx context.Context, f *physical.Fragment, in exec.Stream, ectx expr.Context, mem *exec.Memory, send func([]byte) error) error {
	out, err := exec.RunFragment(f, in, 0, ectx, mem)
	if err != nil {
		return err
	}
	defer out.Close()
	for {
		b, err := out.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return nil
		}
		if err := sendRows(b, send); err != nil {
			return err
		}
	}
}

// sendRows sends rows in as many messages as they need.
func sendRows(b *vec.Batch, send func([]byte) error) error {
	if b.Size() <= rpc.MaxRows {
		return send(vec.Encode(nil, b))
	}
	b = b.Compact()
	switch size := b.Size(); {
	case size <= rpc.MaxRows:
		return send(vec.Encode(nil, b))
	case b.N == 1:
		return &TooLargeError{Bytes: size}
	}
	rows := make([]int32, b.N)
	for i := range rows {
		rows[i] = int32(i)
	}
	for _, half := range [][]int32{rows[:b.N/2], rows[b.N/2:]} {
		if err := sendRows(&vec.Batch{Cols: b.Cols, N: b.N, Sel: half}, send); err != nil {
			return err
		}
	}
	return nil
}

// TooLargeError says that a row is wanted for which no message has room.
type TooLargeError struct{ Bytes int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("Got a packet bigger than 'max_allowed_packet' bytes: the values that are wanted of a row take %d bytes, and may take %d", e.Bytes, rpc.MaxRows)
}

// MySQL returns the error as a client sees it.
func (e *TooLargeError) MySQL() (code uint16, state, msg string) {
	return errno.PacketTooLarge, errno.State(errno.PacketTooLarge), e.Error()
}

// open pins every tablet before the first row is read, so that one call sees one snapshot.
func (s *Scanner) open(ctx context.Context, req *bepb.ScanRequest, f *physical.Fragment) ([]*source, error) {
	var out []*source
	for _, rt := range req.Tablets {
		v := types.Version(rt.Version)
		t, err := s.replica(types.TabletID(rt.TabletId), types.ReplicaID(rt.ReplicaId), v)
		if err != nil {
			return out, err
		}
		if err := t.SetSchema(f.Schema); err != nil {
			return out, err
		}
		if err := s.await(ctx, t, v); err != nil {
			return out, err
		}
		snap, err := t.Snapshot(v)
		if err != nil {
			return out, fmt.Errorf("tablet %d: %w", t.ID(), err)
		}
		if err := tablet.HasColumns(snap.Schema(), f.Columns); err != nil {
			snap.Release()
			return out, fmt.Errorf("tablet %d: %w", t.ID(), &ChangedError{err})
		}
		src := &source{id: t.ID(), snap: snap, f: f}
		if req.TxnId != 0 {
			txn := types.TxnID(req.TxnId)
			src.overlay = s.writer.Overlay(txn, t.ID())
			if src.overlay != nil && src.overlay.Schema != f.Schema.Version {
				snap.Release()
				return out, &ChangedError{fmt.Errorf("rows of schema version %d for a query by %d", src.overlay.Schema, f.Schema.Version)}
			}
			if src.overlay == nil {
				snap.Release()
				return out, &LostTxnError{Txn: txn, Tablet: t.ID()}
			}
		}
		out = append(out, src)
	}
	return out, nil
}

// replica finds the replica that is meant. Another one of the tablet is not read, whatever versions it has.
func (s *Scanner) replica(id types.TabletID, meant types.ReplicaID, v types.Version) (*tablet.Tablet, error) {
	t, ok := s.tablets.Tablet(id)
	if !ok {
		return nil, &tablet.BehindError{Tablet: id, Want: v}
	}
	return t, t.CheckReplica(meant)
}

// await waits a little for a version.
func (s *Scanner) await(ctx context.Context, t *tablet.Tablet, v types.Version) error {
	if !s.writer.WaitVersion(ctx, t, v, VersionWait) {
		return &tablet.BehindError{Tablet: t.ID(), Have: t.Version(), Want: v}
	}
	return nil
}

// LostTxnError says that a transaction asks for rows of its own which this BE does not have, or only their durable part: it led
// the tablet before a restart, another BE did, or the transaction was aborted behind the back of its FE. Leaving them out would be a wrong answer.
type LostTxnError struct {
	Txn    types.TxnID
	Tablet types.TabletID
}

func (e *LostTxnError) Error() string {
	return fmt.Sprintf("the leader of tablet %d does not have the rows of transaction %d any more; try restarting the transaction", e.Tablet, e.Txn)
}

// MySQL returns the error as a client sees it.
func (e *LostTxnError) MySQL() (code uint16, state, msg string) {
	return errno.Deadlock, errno.State(errno.Deadlock), e.Error()
}

// ChangedError says that a read was planned before its table was altered, and that what it wants is no longer there.
type ChangedError struct{ Err error }

func (e *ChangedError) Error() string { return e.Err.Error() }
func (e *ChangedError) Unwrap() error { return e.Err }

// MySQL returns the error as a client sees it.
func (e *ChangedError) MySQL() (code uint16, state, msg string) {
	return errno.TableDefinitionChanged, errno.State(errno.TableDefinitionChanged), "Table definition has changed, please retry transaction"
}

// chain is several streams, one after the other, or, if each has some of the first rows, in turn.
type chain struct {
	from  *queue
	turns []*source // that have not ended; nil = one after the other
	at    int       // whose turn it is
	last  *source   // of the last batch; nil = the next one in the queue
}

// newChain makes one of the sources that it can get of a fragment.
func newChain(from *queue) *chain {
	c := &chain{from: from}
	if all := from.sources; len(all) > 1 && all[0].early != nil && all[0].early.first != nil {
		c.turns = slices.Clone(all)
	}
	return c
}

// Next returns the next batch of the first stream that has one.
func (c *chain) Next(ctx context.Context) (*vec.Batch, error) {
	if c.turns != nil {
		return c.inTurn(ctx)
	}
	for c.more() {
		b, err := c.last.Next(ctx)
		if b != nil || err != nil {
			return b, err
		}
		c.last = nil
	}
	return nil, nil
}

// more reports whether there is a stream that may have another batch, which is c.last then.
func (c *chain) more() bool {
	if c.last == nil {
		c.last = c.from.next()
	}
	return c.last != nil
}

// inTurn returns the next batch of the stream whose turn it is.
func (c *chain) inTurn(ctx context.Context) (*vec.Batch, error) {
	for len(c.turns) > 0 {
		c.at %= len(c.turns)
		c.last = c.turns[c.at]
		b, err := c.last.Next(ctx)
		if b != nil || err != nil {
			c.at++
			return b, err
		}
		c.turns = slices.Delete(c.turns, c.at, c.at+1)
	}
	return nil, nil
}

// AddUp has the streams add their columns up, until one has a batch.
func (c *chain) AddUp(ctx context.Context, totals []vec.Total) (rows int64, b *vec.Batch, err error) {
	for c.more() {
		n, b, err := c.last.AddUp(ctx, totals)
		if rows += n; b != nil || err != nil {
			return rows, b, err
		}
		c.last = nil
	}
	return rows, nil, nil
}

// Tablet returns the tablet of the last batch.
func (c *chain) Tablet() types.TabletID { return c.last.id }

// Close does nothing: the scan closes the sources.
func (c *chain) Close() {}
