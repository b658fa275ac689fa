package redo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

const (
	callTimeout = 10 * time.Second
	askMax      = 4096    // replicas of one Harden
	giveMax     = 4 << 20 // bytes of rows of one Redo, unless one version alone has more
)

// visit is what the calls of one BE have brought.
type visit struct {
	be        types.BEID
	heard     []answered
	given     bool // versions were sent
	taken     bool // and some replica has more for it
	lacking   int  // replicas that lack something still
	unreached bool // it did not answer
}

// answered is a replica whose BE has told what is on disk.
type answered struct {
	Ask
	durable types.Version
}

// call asks a BE what its replicas have on disk, and gives them what they lack.
func (t *term) call(ctx context.Context, id types.BEID, items []Ask, give bool) visit {
	v := visit{be: id}
	client, err := t.o.Clients.BE(t.o.Members.Address(id))
	if err != nil {
		t.o.Logger.Debug("redo", "be_id", id, "err", err)
		v.unreached = true
		return v
	}
	for chunk := range slices.Chunk(items, askMax) {
		if err = v.harden(ctx, client, chunk); err != nil {
			break
		}
	}
	if err == nil && give {
		err = t.give(ctx, client, &v)
	}
	v.unreached = beclient.Unreachable(err)
	switch {
	case ctx.Err() != nil:
	case v.unreached: // whether it is dead is for others to find out
		t.o.Logger.Debug("redo", "be_id", id, "replicas", len(items), "err", err)
	case err != nil:
		t.o.Logger.Warn("redo", "be_id", id, "replicas", len(items), "err", err)
	case v.given:
		t.o.Logger.Info("gave replicas rows that they lacked", "be_id", id, "still_lacking", v.lacking)
	}
	return v
}

// harden asks for some replicas. A BE of an older version does not know the question: it stores what it gets before it answers,
// so its replicas have on disk what the catalog takes them to have.
func (v *visit) harden(ctx context.Context, client bepb.BackendClient, items []Ask) error {
	req := &bepb.HardenRequest{Items: make([]*bepb.HardenRequest_Item, len(items))}
	for i, a := range items {
		req.Items[i] = &bepb.HardenRequest_Item{TabletId: uint64(a.Tablet), ReplicaId: uint64(a.Replica)}
	}
	cctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := client.Harden(cctx, req)
	switch {
	case beclient.Unknown(err):
		for _, a := range items {
			v.heard = append(v.heard, answered{a, a.Known})
		}
		return nil
	case err != nil:
		return err
	case len(resp.Versions) != len(items):
		return fmt.Errorf("%d answers for %d replicas", len(resp.Versions), len(items))
	}
	for i, a := range items {
		v.heard = append(v.heard, answered{a, types.Version(resp.Versions[i])})
	}
	return nil
}

// lack is a replica below what it should have.
type lack struct {
	tablet  types.TabletID
	replica types.ReplicaID
	have    types.Version
	want    types.Version
}

// give sends replicas what they lack for as long as they take it.
func (t *term) give(ctx context.Context, client bepb.BackendClient, v *visit) error {
	var lacking []*lack
	for _, h := range v.heard {
		if 0 < h.durable && h.durable < h.Want {
			lacking = append(lacking, &lack{h.Tablet, h.Replica, h.durable, h.Want})
		}
	}
	v.lacking = len(lacking)
	schemas := map[types.TableID][]byte{}
	for {
		req, sent, left, err := fill(t.o.Log.Current(), lacking, schemas)
		if err != nil || len(sent) == 0 {
			return err
		}
		v.given = true
		cctx, cancel := context.WithTimeout(ctx, callTimeout)
		resp, err := client.Redo(cctx, req)
		cancel()
		if err != nil {
			return err
		}
		if len(resp.Versions) != len(sent) {
			return fmt.Errorf("%d answers for %d tablets", len(resp.Versions), len(sent))
		}
		lacking = left
		for i, l := range sent {
			now := types.Version(resp.Versions[i])
			if now <= l.have {
				continue // it does not take it
			}
			v.taken = true
			if l.have = now; now >= l.want {
				v.lacking--
			} else {
				lacking = append(lacking, l)
			}
		}
	}
}

// fill makes one message of what the log has for some replicas. Left are those that had no room in it; what the log has nothing for
// is in neither.
func fill(cat *catalog.Catalog, lacking []*lack, schemas map[types.TableID][]byte) (req *bepb.RedoRequest, sent, left []*lack, err error) {
	req = &bepb.RedoRequest{}
	size := 0
	for i, l := range lacking {
		if size >= giveMax {
			return req, sent, append(left, lacking[i:]...), nil
		}
		tab, ok := cat.Tablet(l.tablet)
		if !ok {
			continue
		}
		item := &bepb.RedoRequest_Tablet{TabletId: uint64(l.tablet), ReplicaId: uint64(l.replica)}
		for _, r := range tab.RedoAfter(l.have) {
			if r.Version > l.want || size >= giveMax {
				break
			}
			item.Versions = append(item.Versions, &bepb.RedoRequest_Version{TxnId: uint64(r.Txn), Version: uint64(r.Version), Parts: r.Parts})
			for _, p := range r.Parts {
				size += len(p)
			}
		}
		if len(item.Versions) == 0 {
			continue
		}
		if item.SchemaVersion, item.Schema, err = schemaOf(cat, tab, schemas); err != nil {
			return nil, nil, nil, err
		}
		req.Tablets, sent = append(req.Tablets, item), append(sent, l)
	}
	return req, sent, left, nil
}

// schemaOf returns the schema that goes with rows of a table that was altered: a replica hears of it by nothing else.
func schemaOf(cat *catalog.Catalog, tab *catalog.Tablet, known map[types.TableID][]byte) (uint32, []byte, error) {
	table, ok := cat.TableByID(tab.Table)
	if !ok || table.Schema.Version <= 1 {
		return 0, nil, nil
	}
	encoded := known[table.ID]
	if encoded == nil {
		var err error
		if encoded, err = cbor.Marshal(table.Schema); err != nil {
			return 0, nil, fmt.Errorf("encode schema of table %d: %w", table.ID, err)
		}
		known[table.ID] = encoded
	}
	return table.Schema.Version, encoded, nil
}
