package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"stele/be/tablet"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/vec"
)

// maxGetBytes bounds the answer of a Get: what is larger comes by Scan, which streams.
const maxGetBytes = 256 << 10

const (
	// maxFetchRows is about how many rows a Fetch may read: what is more is read from several tablets at once.
	maxFetchRows = 8192
	// lookedPart times as many it may look at in each tablet: how many pass the filter nobody knows before.
	lookedPart = 2
	// maxGetKeys is no bound: the answer is one.
	maxGetKeys = math.MaxInt64
)

// Get runs the fragment over the rows with the keys of the request, or those of the fragment, and answers all at once.
func (s *Scanner) Get(ctx context.Context, req *bepb.GetRequest) (*bepb.GetResponse, error) {
	s.running.Add(1)
	defer s.running.Add(-1)
	f, err := s.decoded.get(req.Fragment, len(req.Keys) > 0)
	if err != nil {
		return nil, err
	}
	if req.TxnId == 0 && len(req.Keys) == 1 && isPlain(f) {
		return s.getRow(ctx, req, f)
	}
	rpc.Waits(ctx) // it may be many rows
	if len(req.Keys) > 0 {
		with := *f
		with.Keys, with.Homes, f = req.Keys, nil, &with
	}
	scan := &bepb.ScanRequest{Tablets: []*bepb.ScanRequest_Tablet{{TabletId: req.TabletId, Version: req.Version, ReplicaId: req.ReplicaId}}, NowUs: req.NowUs,
		MemLimitBytes: req.MemLimitBytes, TxnId: req.TxnId}
	return s.gather(ctx, scan, f, maxGetKeys)
}

// Fetch is Scan with all of the answer in one message. What takes reading many rows it leaves to Scan.
func (s *Scanner) Fetch(ctx context.Context, req *bepb.ScanRequest) (*bepb.GetResponse, error) {
	s.running.Add(1)
	defer s.running.Add(-1)
	rpc.Waits(ctx)
	f, err := fragmentOf(ctx, req)
	if err != nil {
		return nil, err
	}
	return s.gather(ctx, req, f, maxFetchRows)
}

// fragmentOf returns the fragment of a scan: that which its caller, in this process, has not encoded, or the one in the request. The
// result must not be changed.
func fragmentOf(ctx context.Context, req *bepb.ScanRequest) (*physical.Fragment, error) {
	if given, ok := rpc.Given(ctx).(*bepb.ScanFragment); ok && given.Beside != nil {
		if f, ok := given.Beside.(interface{ Decoded() *physical.Fragment }); ok {
			return f.Decoded(), nil
		}
		return physical.DecodeFragment(given.Beside.Encoded())
	}
	return physical.DecodeFragment(req.Fragment)
}

// gather runs a fragment that is to read at most so many rows, and answers all at once.
func (s *Scanner) gather(ctx context.Context, req *bepb.ScanRequest, f *physical.Fragment, most int64) (*bepb.GetResponse, error) {
	resp, size := &bepb.GetResponse{}, 0
	err := s.run(ctx, req, f, most, func(batch []byte) error {
		resp.Batches = append(resp.Batches, batch)
		if size += len(batch); size > maxGetBytes {
			return errLarge
		}
		return nil
	})
	if errors.Is(err, errLarge) {
		return &bepb.GetResponse{Large: true}, nil
	}
	return resp, err
}

// errLarge ends a Get whose answer is too large.
var errLarge = errors.New("too large an answer for one message")

// isPlain reports whether a fragment yields columns as they are stored.
func isPlain(f *physical.Fragment) bool {
	return f.Filter == nil && f.Project == nil && f.Agg == nil && f.TopN == nil && f.Limit == 0 && !f.TabletColumn
}

// getRow reads one row without the operators.
func (s *Scanner) getRow(ctx context.Context, req *bepb.GetRequest, f *physical.Fragment) (*bepb.GetResponse, error) {
	id, v := types.TabletID(req.TabletId), types.Version(req.Version)
	t, err := s.replica(id, types.ReplicaID(req.ReplicaId), v)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, t, v); err != nil {
		return nil, err
	}
	if f.Schema.Version > t.SchemaVersion() {
		rpc.Waits(ctx)
		if err := t.SetSchema(f.Schema); err != nil {
			return nil, err
		}
	}
	key := req.Keys[0]
	batch, known := s.rows.get(t, f, key, v)
	if !known {
		b, found, stored, err := t.GetAt(v, key, f.Columns, nil)
		if errors.Is(err, tablet.ErrColumn) {
			err = &ChangedError{err}
		}
		if err != nil {
			return nil, fmt.Errorf("tablet %d: %w", id, err)
		}
		if found {
			if b.Size() > maxGetBytes {
				return &bepb.GetResponse{Large: true}, nil
			}
			batch = vec.Encode(nil, b)
		}
		if stored { // what is in memory is found as fast there
			s.rows.put(t, f, key, v, batch)
		}
	}
	if batch == nil {
		return &bepb.GetResponse{}, nil
	}
	return &bepb.GetResponse{Batches: [][]byte{batch}}, nil
}

// run runs a decoded fragment, unless it has to read more than so many rows: then it is errLarge.
func (s *Scanner) run(ctx context.Context, req *bepb.ScanRequest, f *physical.Fragment, most int64, send func([]byte) error) error {
	ectx, err := exprContext(f, req.NowUs)
	if err != nil {
		return err
	}
	mem := exec.NewMemoryIn(s.mem, req.MemLimitBytes)
	sources, err := s.open(ctx, req, f)
	defer func() {
		for _, src := range sources {
			src.close()
		}
	}()
	if err != nil {
		return err
	}
	tellEarly(f, ectx, sources)
	n := 1
	if most == math.MaxInt64 {
		if n, err = lanes(f, sources); err != nil {
			return err
		}
	} else {
		for _, src := range sources {
			src.most = lookedPart * most
		}
		if rows, err := toRead(f, sources); err != nil || rows > most {
			return cmp.Or(err, errLarge)
		}
	}
	if err = runLanes(ctx, n, f, sources, ectx, mem, send); errors.Is(err, tablet.ErrMany) {
		return errLarge
	}
	return err
}

// toRead is about how many rows a fragment reads of its sources.
func toRead(f *physical.Fragment, sources []*source) (rows int64, err error) {
	if f.Keys != nil {
		return int64(len(f.Keys)), nil
	}
	if f.Limit > 0 && f.Filter == nil && f.Agg == nil && f.TopN == nil {
		return f.Limit, nil
	}
	for _, src := range sources {
		n, err := src.toRead()
		if err != nil {
			return 0, err
		}
		rows += n
	}
	return rows, nil
}

// maxFragments bounds how many decoded fragments are kept.
const maxFragments = 1024

// fragments keeps the decoded form of fragments that come again and again.
type fragments struct {
	mu sync.RWMutex
	m  map[string]*physical.Fragment
}

// get decodes a fragment; keep says that it is likely to come again. The result must not be changed.
func (c *fragments) get(encoded []byte, keep bool) (*physical.Fragment, error) {
	if keep {
		c.mu.RLock()
		f := c.m[string(encoded)]
		c.mu.RUnlock()
		if f != nil {
			return f, nil
		}
	}
	f, err := physical.DecodeFragment(slices.Clone(encoded))
	if err != nil || !keep {
		return f, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxFragments {
		c.m = map[string]*physical.Fragment{}
	}
	c.m[string(encoded)] = f
	return f, nil
}
