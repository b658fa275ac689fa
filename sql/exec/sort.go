package exec

import (
	"bytes"
	"container/heap"
	"context"

	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// sortOp sorts all of its input, stably. With a limit it keeps little more than the rows it will yield. Beyond the
// memory limit it writes sorted runs to files and merges them.
type sortOp struct {
	env  *Env
	in   Stream
	keys *sortKeys
	keep int64 // rows wanted, 0 = all
	skip int64

	buf      sortBuffer
	boundary []byte // top-N: the last key that can still matter
	acct     account
	runs     []*spillFile
	merge    *mergeRuns

	sorted  bool
	pos     int
	yielded int64
	closed  bool
}

const (
	// sortFanIn is how many runs are merged at once: with runBatchBytes it bounds what merging holds to 2 MiB.
	sortFanIn     = 32
	runBatchBytes = 64 << 10
	// sortBatchBytes keeps batches of very wide rows from growing with vec.MaxRows.
	sortBatchBytes = 64 << 20
)

func newSort(spec *physical.Sort, in Stream, env *Env) (Stream, error) {
	s, err := newSortOp(spec, in, env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newSortOp(spec *physical.Sort, in Stream, env *Env) (*sortOp, error) {
	keys, err := compileSortKeys(spec.Keys, env.Expr)
	if err != nil {
		return nil, err
	}
	s := &sortOp{env: env, in: in, keys: keys, skip: spec.Offset, acct: account{mem: env.Mem}}
	if spec.Limit > 0 {
		s.keep = spec.Limit + spec.Offset
		if s.keep < 0 { // LIMIT 18446744073709551615 is how MySQL spells "the rest"
			s.keep = 0
		}
	}
	return s, nil
}

// topN reports whether the limit is one that is worth keeping to while rows come in.
func (s *sortOp) topN() bool { return s.keep > 0 && s.keep < 1<<40 }

func (s *sortOp) Next(ctx context.Context) (*vec.Batch, error) {
	if s.closed {
		return nil, nil
	}
	if !s.sorted {
		if err := s.consume(ctx); err != nil {
			return nil, err
		}
		s.sorted = true
	}
	for {
		b, err := s.nextSorted(ctx)
		if err != nil || b == nil {
			return nil, err
		}
		if b = s.window(b); b.Rows() > 0 {
			return b, nil
		}
	}
}

// window cuts OFFSET and LIMIT out of the sorted rows.
func (s *sortOp) window(b *vec.Batch) *vec.Batch {
	n := int64(b.Rows())
	from, to := min(max(s.skip-s.yielded, 0), n), n
	if s.keep > 0 {
		to = max(min(n, s.keep-s.yielded), from)
	}
	s.yielded += n
	if from == 0 && to == n {
		return b
	}
	return b.Slice(int(from), int(to))
}

func (s *sortOp) consume(ctx context.Context) error {
	for {
		b, err := nextBatch(ctx, s.in)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := s.add(b.Compact()); err != nil {
			return err
		}
	}
	s.in.Close()
	if len(s.runs) == 0 {
		s.buf.sort()
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	return s.startMerge(ctx)
}

func (s *sortOp) add(b *vec.Batch) error {
	keys, err := s.keys.encode(b)
	if err != nil {
		return err
	}
	if s.boundary != nil {
		if b, keys = s.dropLate(b, keys); b.N == 0 {
			return nil
		}
	}
	s.buf.add(b, keys)
	if s.topN() && int64(s.buf.rows.n) > 2*s.keep+vec.MaxRows {
		s.shrink()
	}
	if s.acct.resize(s.buf.bytes()) {
		return nil
	}
	if s.topN() && int64(s.buf.rows.n) > s.keep {
		s.shrink()
		if s.acct.resize(s.buf.bytes()) {
			return nil
		}
	}
	return s.spill()
}

// shrink keeps the first rows and remembers where they end.
func (s *sortOp) shrink() {
	s.buf.sort()
	s.buf.truncate(int(s.keep))
	if n := len(s.buf.entries); int64(n) == s.keep {
		s.boundary = bytes.Clone(s.buf.key(s.buf.entries[n-1].ref))
	}
}

// dropLate drops rows that come after all the kept ones. Equal ones do too: they arrived later.
func (s *sortOp) dropLate(b *vec.Batch, keys *keyArena) (*vec.Batch, *keyArena) {
	var sel []int32
	kept := &keyArena{}
	for r := range b.N {
		if key := keys.at(r); bytes.Compare(key, s.boundary) < 0 {
			sel = append(sel, int32(r))
			kept.data = append(kept.data, key...)
			kept.ends = append(kept.ends, uint32(len(kept.data)))
		}
	}
	if len(sel) == b.N {
		return b, keys
	}
	if sel == nil {
		return &vec.Batch{}, kept
	}
	return (&vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}).Compact(), kept
}

// spill writes what is in memory as one sorted run, the key as a last column.
func (s *sortOp) spill() error {
	if len(s.buf.entries) == 0 {
		return nil
	}
	s.buf.sort()
	f, err := newSpillFile(s.env)
	if err != nil {
		if s.env.SpillDir == NoSpill {
			return errOutOfSortMemory(s.env.Mem.limit)
		}
		return err
	}
	s.runs = append(s.runs, f)
	rest, step := s.buf.entries, s.buf.batchRows(runBatchBytes)
	if s.keep > 0 && int64(len(rest)) > s.keep {
		rest = rest[:s.keep]
	}
	for len(rest) > 0 {
		piece := rest[:min(step, len(rest))]
		rest = rest[len(piece):]
		if err := f.write(s.withKeys(piece)); err != nil {
			return err
		}
	}
	s.buf = sortBuffer{types: s.buf.types}
	s.acct.free()
	return nil
}

func (s *sortOp) withKeys(entries []sortEntry) *vec.Batch {
	b := s.buf.gather(entries)
	keys := vec.NewColumnBuilder(types.ColumnType{Kind: types.KindBlob}, len(entries))
	for _, e := range entries {
		keys.AppendBytes(s.buf.key(e.ref))
	}
	b.Cols = append(b.Cols, keys.Finish())
	return b
}

// startMerge brings the runs down to what can be merged at once, neighbours first so that equal keys stay in order.
func (s *sortOp) startMerge(ctx context.Context) error {
	for len(s.runs) > sortFanIn {
		old := s.runs
		s.runs = nil
		for len(old) > 0 {
			n := min(sortFanIn, len(old))
			f, err := s.mergeToFile(ctx, old[:n])
			old = old[n:]
			if err != nil {
				closeFiles(old)
				return err
			}
			s.runs = append(s.runs, f)
		}
	}
	runs := s.runs
	s.runs = nil
	m, err := openRuns(ctx, runs, s.buf.types)
	s.merge = m
	s.acct.force(int64(len(runs)) * 2 * runBatchBytes)
	return err
}

// mergeToFile merges runs, which it uses up, into one.
func (s *sortOp) mergeToFile(ctx context.Context, runs []*spillFile) (*spillFile, error) {
	m, err := openRuns(ctx, runs, s.buf.types)
	defer m.close()
	if err != nil {
		return nil, err
	}
	out, err := newSpillFile(s.env)
	if err != nil {
		return nil, err
	}
	for {
		b, err := m.next(ctx, true)
		if err == nil && b != nil {
			err = out.write(b)
		}
		if err != nil {
			out.close()
			return nil, err
		}
		if b == nil || s.keep > 0 && out.rows >= s.keep {
			return out, nil
		}
	}
}

func (s *sortOp) nextSorted(ctx context.Context) (*vec.Batch, error) {
	if s.keep > 0 && s.yielded >= s.keep {
		return nil, nil
	}
	if s.merge != nil {
		return s.merge.next(ctx, false)
	}
	rest := s.buf.entries[s.pos:]
	if len(rest) == 0 {
		return nil, nil
	}
	rest = rest[:min(s.buf.batchRows(sortBatchBytes), len(rest))]
	s.pos += len(rest)
	return s.buf.gather(rest), nil
}

func (s *sortOp) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.in.Close()
	closeFiles(s.runs)
	s.merge.close()
	s.buf = sortBuffer{}
	s.acct.free()
}

func closeFiles(files []*spillFile) {
	for _, f := range files {
		f.close()
	}
}

// mergeRuns merges sorted runs: a heap of their heads.
type mergeRuns struct {
	types []types.ColumnType // without the key
	heads runHeap
	all   []Stream
}

type runHead struct {
	in    Stream
	order int
	batch *vec.Batch
	pos   int
}

func (h *runHead) key() []byte { return h.batch.Cols[len(h.batch.Cols)-1].Bytes(h.pos) }

type runHeap []*runHead

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key(), h[j].key()); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*runHead)) }
func (h *runHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// openRuns takes the files over, also when it fails; the result is to be closed either way.
func openRuns(ctx context.Context, files []*spillFile, ts []types.ColumnType) (*mergeRuns, error) {
	m := &mergeRuns{types: ts}
	for i, f := range files {
		in := f.reader()
		m.all = append(m.all, in)
		b, err := nextBatch(ctx, in)
		if err != nil {
			closeFiles(files[i+1:])
			return m, err
		}
		if b != nil {
			m.heads = append(m.heads, &runHead{in: in, order: i, batch: b})
		}
	}
	heap.Init(&m.heads)
	return m, nil
}

// next returns the next rows, with their keys as a last column when asked for.
func (m *mergeRuns) next(ctx context.Context, withKeys bool) (*vec.Batch, error) {
	if len(m.heads) == 0 {
		return nil, nil
	}
	ts := m.types
	if withKeys {
		ts = append(ts[:len(ts):len(ts)], types.ColumnType{Kind: types.KindBlob})
	}
	out := vec.NewBuilder(ts, vec.MaxRows)
	n := 0
	for n < vec.MaxRows && len(m.heads) > 0 && out.Size() < runBatchBytes {
		h := m.heads[0]
		out.AppendRow(h.batch, h.pos)
		n++
		if h.pos++; h.pos < h.batch.N {
			heap.Fix(&m.heads, 0)
			continue
		}
		b, err := nextBatch(ctx, h.in)
		if err != nil {
			return nil, err
		}
		if h.batch, h.pos = b, 0; b == nil {
			heap.Pop(&m.heads)
		} else {
			heap.Fix(&m.heads, 0)
		}
	}
	b := out.Finish()
	b.N = n // also right without columns
	return b, nil
}

// close is safe to call more than once, and on nil.
func (m *mergeRuns) close() {
	if m == nil {
		return
	}
	closeAll(m.all)
	m.all, m.heads = nil, nil
}
