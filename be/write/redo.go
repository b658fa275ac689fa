package write

import (
	"context"
	"errors"
	"fmt"

	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Redo brings replicas versions that they lack, out of the commits that carry their rows: durably, and in order. A version that
// is there is passed over. The answer holds the version that each tablet has afterwards, 0 where there is no such replica.
func (w *Writer) Redo(ctx context.Context, tablets []*bepb.RedoRequest_Tablet) []uint64 {
	versions := make([]uint64, len(tablets))
	for i, rt := range tablets {
		t, ok := w.tablets.Tablet(types.TabletID(rt.TabletId))
		if !ok || uint64(t.Replica()) != rt.ReplicaId {
			continue
		}
		before := t.Version()
		if err := w.redo(ctx, t, rt); err != nil {
			w.log.Warn("redo", "tablet_id", rt.TabletId, "err", err)
		}
		if now, ok := w.tablets.Tablet(t.ID()); ok {
			t = now // it may have moved to another disk meanwhile
		}
		versions[i] = uint64(t.Version())
		if t.Version() > before {
			w.opt.Caught(t.ID())
		}
	}
	return versions
}

func (w *Writer) redo(ctx context.Context, t *tablet.Tablet, rt *bepb.RedoRequest_Tablet) error {
	if err := learnSchema(ctx, t, rt.SchemaVersion, rt.Schema); err != nil {
		return err
	}
	changes := make([]tablet.Change, len(rt.Versions))
	for i, v := range rt.Versions {
		changes[i] = tablet.Change{Version: types.Version(v.Version), Payload: wire.EncodeChange(types.TxnID(v.TxnId), v.Parts)}
	}
	r := w.replica(t)
	err := r.redo(changes)
	for errors.Is(err, errMoved) {
		r = r.next
		err = r.redo(changes)
	}
	// Now each is what a publish would have made of it, or, where that failed, decided.
	for _, v := range rt.Versions {
		d := decision{types.TxnID(v.TxnId), len(v.Parts)}
		if perr := w.publish(r.t, d, types.Version(v.Version)); perr != nil && err == nil {
			err = perr
		}
	}
	return err
}

// redo applies the change sets of versions that may be here already.
func (r *replica) redo(changes []tablet.Change) error {
	r.gate.RLock()
	defer r.gate.RUnlock()
	switch {
	case r.next != nil:
		return errMoved
	case r.replacing:
		return fmt.Errorf("tablet %d: %w", r.t.ID(), errReplacing)
	}
	have := r.t.Version()
	for len(changes) > 0 && changes[0].Version <= have {
		changes = changes[1:]
	}
	return r.t.ApplyChanges(changes)
}
