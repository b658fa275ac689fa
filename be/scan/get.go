package scan

import (
	"context"
	"errors"
	"fmt"
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
		with.Keys, f = req.Keys, &with
	}
	resp, size := &bepb.GetResponse{}, 0
	scan := &bepb.ScanRequest{Tablets: []*bepb.ScanRequest_Tablet{{TabletId: req.TabletId, Version: req.Version}}, NowUs: req.NowUs,
		MemLimitBytes: req.MemLimitBytes, TxnId: req.TxnId}
	err = s.run(ctx, scan, f, func(batch []byte) error {
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
	t, ok := s.tablets.Tablet(id)
	if !ok {
		return nil, &tablet.BehindError{Tablet: id, Want: v}
	}
	if !s.writer.WaitVersion(ctx, t, v, VersionWait) {
		return nil, &tablet.BehindError{Tablet: id, Have: t.Version(), Want: v}
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
		b, found, stored, err := t.GetAt(v, key, f.Columns)
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

// run runs a decoded fragment.
func (s *Scanner) run(ctx context.Context, req *bepb.ScanRequest, f *physical.Fragment, send func([]byte) error) error {
	ectx, err := exprContext(f, req.NowUs)
	if err != nil {
		return err
	}
	mem := exec.NewMemory(req.MemLimitBytes)
	sources, err := s.open(ctx, req, f)
	defer func() {
		for _, src := range sources {
			src.close()
		}
	}()
	if err != nil {
		return err
	}
	return pump(ctx, f, &chain{sources: sources}, ectx, mem, send)
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
