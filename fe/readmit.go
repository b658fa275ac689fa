package fe

import (
	"context"

	"stele/meta/command"
	"stele/meta/types"
)

// readmit gives a BE that was dropped and added again the id back that its disks carry: no other BE ever had it. What the catalog
// still places on it is there at once, the rest is dropped as what nobody knows. A BE whose id is in use is another one: the heartbeat
// goes on being refused, and SHOW BACKENDS says so.
func (n *node) readmit(ctx context.Context, added, known types.BEID) {
	cat := n.meta.Current()
	now, ok := cat.BE(added)
	_, used := cat.BE(known)
	placed := false // it has been given replicas under its new id: then an operator has to decide
	for range cat.TabletsOn(added) {
		placed = true
		break
	}
	if !ok || used || placed {
		return
	}
	again := *now
	again.ID = known
	out, err := n.meta.Propose(ctx, &command.DropBE{BE: added}, &command.AddBE{BE: again, TimeMs: now.AddedMs})
	for i := range out {
		if err == nil {
			err = out[i].Err
		}
	}
	if err != nil {
		n.log.Error("take a backend back under the id that it had", "added_be_id", added, "be_id", known, "err", err)
		return
	}
	n.log.Info("a backend is back under the id that it had", "added_be_id", added, "be_id", known, "host", again.Host, "port", again.Port)
}
