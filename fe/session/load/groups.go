package load

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"stele/fe/txn"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/rowset/groups"
	"stele/sql/vec"
)

const (
	// groupsAtOnce is how many row groups are encoded, or wait to be sent.
	groupsAtOnce = 2
	// fewRows are sent as rows: a part that is as small belongs in the memtable, with others.
	fewRows = 512
	// Row groups are sent together: few bytes at first, so that the leaders have something to do soon, then a share of what was
	// sent before, so that a long load leaves few rowsets and no long wait for the last of them.
	leastSent, mostSent, sentShare = 2 << 20, 16 << 20, 6
	// leastGathered, later a share of what was encoded before, at most mostGathered, is how many bytes of rows wait for more of their
	// tablets: a short load is encoded and sent while it is read, and of very many tablets none gets a full row group.
	leastGathered, mostGathered, gatherShare = 4 << 20, 64 << 20, 2
	// mostPartRows bounds a part, whatever few bytes its rows take.
	mostPartRows = groups.MaxRows / 2
)

// Leaders are those of the tablets that rows go to.
type Leaders interface {
	// Write has them take parts; it begins when the one before has come to its end, and more row groups come in while it goes on.
	Write(ctx context.Context, writes []txn.TabletWrite) error
	// Land waits for the last one.
	Land() error
}

// Groups is how the rows of a load become row groups, here, as the replicas store them: they take a sixth of the rows' bytes
// on the way, and the leaders have nothing to encode. One goroutine gathers rows by tablet, in the order of the file, several
// encode, one sends.
type Groups struct {
	leaders Leaders
	schema  *types.Schema
	tablets map[types.TabletID]*gathered
	order   []types.TabletID
	jobs    chan *job
	spare   chan *vec.Batch // rows whose buffers may be used again
	raw     int             // bytes of all tablets
	cutRaw  int             // bytes that were encoded, or are about to be
	sending sync.WaitGroup
	failed  error // of the sender, when it has ended
}

// gathered is rows of a tablet that are too few for a row group.
type gathered struct {
	cols []*vec.ColumnBuilder
	n    int
	raw  int
}

// job is rows of a tablet on their way; done is closed when they are either row groups or, where a key is there twice or
// they are few, rows to be sent.
type job struct {
	tablet types.TabletID
	rows   *vec.Batch
	groups []groups.Group
	err    error
	done   chan struct{}
}

// NewGroups starts the sender, which calls fail with its error. The caller calls End.
func NewGroups(ctx context.Context, schema *types.Schema, leaders Leaders, fail func(error)) *Groups {
	g := &Groups{leaders: leaders, schema: schema, tablets: map[types.TabletID]*gathered{},
		jobs: make(chan *job, groupsAtOnce), spare: make(chan *vec.Batch, groupsAtOnce+1)}
	g.sending.Go(func() {
		s := &sender{g: g, pending: map[types.TabletID]*groups.Payload{}}
		if g.failed = contain.Call(func() error { return s.run(ctx) }); g.failed != nil {
			fail(g.failed)
		}
		for j := range g.jobs {
			<-j.done
		}
	})
	return g
}

// Take adds the rows of a piece to those of their tablets.
func (g *Groups) Take(ctx context.Context, rows *vec.Batch, routes []plan.TabletRows) error {
	size := rawBytes(rows) / rows.N
	for _, r := range routes {
		to := g.tablets[r.Tablet]
		if to == nil {
			to = &gathered{}
			g.tablets[r.Tablet] = to
			g.order = append(g.order, r.Tablet)
		}
		for sel := range slices.Chunk(r.Rows, groups.GroupRows) { // a piece of very short lines has more
			raw := size * len(sel)
			if to.n > 0 && (to.n+len(sel) > groups.GroupRows || to.raw+raw > groups.RawBytes) {
				if err := g.cut(ctx, r.Tablet); err != nil {
					return err
				}
			}
			to.add(g, rows, sel)
			to.raw += raw
			g.raw += raw
		}
	}
	for g.raw > min(max(leastGathered, g.cutRaw/gatherShare), mostGathered) {
		if err := g.cut(ctx, slices.MaxFunc(g.order, func(a, b types.TabletID) int { return g.tablets[a].raw - g.tablets[b].raw })); err != nil {
			return err
		}
	}
	return nil
}

// rawBytes is the size of rows as that of a row group counts.
func rawBytes(rows *vec.Batch) int {
	n := 8 * rows.N * len(rows.Cols)
	for _, v := range rows.Cols {
		if v.Off != nil {
			n += int(v.Off[v.N] - v.Off[0])
		}
	}
	return n
}

func (to *gathered) add(g *Groups, rows *vec.Batch, sel []int32) {
	if to.cols == nil {
		select {
		case old := <-g.spare:
			to.cols = vec.ReuseBuilders(old)
		default:
			for _, v := range rows.Cols {
				to.cols = append(to.cols, vec.NewColumnBuilder(v.Type, len(sel)))
			}
		}
	}
	for i, c := range to.cols {
		c.AppendRows(rows.Cols[i], sel)
	}
	to.n += len(sel)
}

// cut has the rows of a tablet encoded.
func (g *Groups) cut(ctx context.Context, id types.TabletID) error {
	from := g.tablets[id]
	j := &job{tablet: id, rows: &vec.Batch{N: from.n}, done: make(chan struct{})}
	for _, c := range from.cols {
		j.rows.Cols = append(j.rows.Cols, c.Finish())
	}
	g.raw -= from.raw
	g.cutRaw += from.raw
	*from = gathered{}
	select {
	case g.jobs <- j:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	go func() { // whoever takes the job waits for it
		defer close(j.done)
		j.err = contain.Call(func() error { g.encode(j); return nil })
	}()
	return nil
}

// encode makes row groups of the rows, unless a key is there twice: which of them counts is the leader's to say.
func (g *Groups) encode(j *job) {
	if j.rows.N < fewRows && j.rows.Size() < leastSent {
		return
	}
	rows, keys := j.rows, vec.EncodeKeys(j.rows, g.schema.KeyIndexes())
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		order := make([]int32, len(keys))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(a, b int32) int { return bytes.Compare(keys[a], keys[b]) })
		sorted := make([][]byte, len(order))
		for i, at := range order {
			sorted[i] = keys[at]
		}
		rows, keys = (&vec.Batch{Cols: rows.Cols, N: rows.N, Sel: order}).Compact(), sorted
	}
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return
		}
	}
	j.groups = groups.Encode(g.schema, rows, keys)
	select {
	case g.spare <- j.rows:
	default:
	}
	j.rows = nil
}

// End sends what is left, unless the load has failed, and waits until everything was taken.
func (g *Groups) End(ctx context.Context) error {
	var err error
	for _, id := range g.order {
		if err == nil && ctx.Err() == nil && g.tablets[id].n > 0 {
			err = g.cut(ctx, id)
		}
	}
	close(g.jobs)
	g.sending.Wait()
	if g.failed != nil {
		return g.failed
	}
	return err
}

// sender has the leaders take row groups, several of a tablet as one part where their keys ascend.
type sender struct {
	g       *Groups
	pending map[types.TabletID]*groups.Payload
	order   []types.TabletID
	bytes   int
	sent    int
}

func (s *sender) run(ctx context.Context) (err error) {
	defer func() {
		if landed := s.g.leaders.Land(); err == nil {
			err = landed
		}
	}()
	for j := range s.g.jobs {
		<-j.done
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if j.err != nil {
			return j.err
		}
		if err := s.take(ctx, j); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.send(ctx)
}

func (s *sender) take(ctx context.Context, j *job) error {
	if j.rows != nil { // behind those that came before them
		if err := s.send(ctx); err != nil {
			return err
		}
		return s.g.leaders.Write(ctx, []txn.TabletWrite{{Tablet: j.tablet, Rows: j.rows}})
	}
	p := s.pending[j.tablet]
	if p != nil && (bytes.Compare(p.Groups[len(p.Groups)-1].MaxKey, j.groups[0].MinKey) >= 0 || p.Rows() >= mostPartRows) {
		if err := s.send(ctx); err != nil {
			return err
		}
		p = nil
	}
	if p == nil {
		p = &groups.Payload{Schema: uint64(s.g.schema.Version)}
		s.pending[j.tablet] = p
		s.order = append(s.order, j.tablet)
	}
	p.Groups = append(p.Groups, j.groups...)
	for i := range j.groups {
		s.bytes += len(j.groups[i].Val)
	}
	if s.bytes < min(max(leastSent, s.sent/sentShare), mostSent) {
		return nil
	}
	return s.send(ctx)
}

// send has the leaders take what is pending.
func (s *sender) send(ctx context.Context) error {
	if len(s.order) == 0 {
		return nil
	}
	var writes []txn.TabletWrite
	for _, id := range s.order {
		payload, err := s.pending[id].Encode()
		if err != nil {
			return err
		}
		writes = append(writes, txn.TabletWrite{Tablet: id, Grouped: payload})
	}
	clear(s.pending)
	s.sent += s.bytes
	s.order, s.bytes = nil, 0
	return s.g.leaders.Write(ctx, writes)
}
