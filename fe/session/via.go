package session

import (
	"bytes"
	"context"
	"slices"

	"stele/fe/dist"
	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/vec"
)

// resolve reads the primary keys that a scan is to read from the hidden table of a unique key. Both are read at one
// snapshot, and a transaction sees its own rows in both.
func (s *Session) resolve(ctx context.Context, q *dist.Query, scan *physical.Scan) (*physical.Scan, error) {
	if scan.Via == nil {
		return scan, nil
	}
	t, ok := q.Snapshot.TableByID(scan.TableID)
	index, there := q.Snapshot.TableByID(scan.Via.TableID)
	if !ok || !there {
		return scan, nil // a plan of another snapshot: the whole table answers as well
	}
	rows, err := s.sh.Scanner.Scan(ctx, q, &physical.Scan{TableID: index.ID, Tablets: scan.Via.Tablets, Fragment: scan.Via.Fragment})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	u := newUniqueKey(t, scan.Via.Key, index)
	out := *scan
	out.Tablets, out.Fragment.Keys, out.Via = []types.TabletID{}, [][]byte{}, nil
	for {
		b, err := rows.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b == nil {
			slices.SortFunc(out.Fragment.Keys, bytes.Compare)
			return &out, nil
		}
		like := u.like(&t.Schema, b.Compact())
		routes, err := plan.Route(t, like)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			if slices.Contains(scan.Tablets, r.Tablet) && !slices.Contains(out.Tablets, r.Tablet) {
				out.Tablets = append(out.Tablets, r.Tablet)
			}
		}
		out.Fragment.Keys = append(out.Fragment.Keys, vec.EncodeKeys(like, t.Schema.KeyIndexes())...)
	}
}
