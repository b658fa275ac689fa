package txn

import (
	"fmt"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Small transactions carry their rows in the commit: replicas keep them in memory, and who loses them gets them from the log. The
// payloads come back with the answers of the leaders. On a tablet all parts of a transaction are like that, or none (light, durable):
// a part that is on disk has taken the earlier ones there as well.

const (
	// maxCarried bounds what a commit carries, whatever is configured: an entry of the log holds many.
	maxCarried = catalog.MaxRedoBytes / 4
	// payloadOverhead is counted on top of each payload, so that a commit does not carry too many.
	payloadOverhead = 64
	// maxRedoing is how many bytes of rows the catalog may have that replicas do not have on disk; beyond it they must have them.
	maxRedoing = 32 << 20
)

// carried is what a commit carries for a tablet.
type carried struct {
	payloads [][]byte // by seq
	bytes    int      // that they count
	durable  bool     // a part is on disk, and so are all
}

// offer tells leaders how many bytes the commit will carry for parts which are to be sent to so many of them at once.
func (t *Txn) offer(cat *catalog.Catalog, leaders int, parts []*bepb.WriteRequest_Part) {
	room := min(t.c.settings().RedoBytes, maxCarried) - t.carried
	if room <= 0 || cat.RedoBytes() > maxRedoing {
		return
	}
	for _, p := range parts {
		if p.LeaderStartMs != 0 && !p.Grouped && !t.shares.get(types.TabletID(p.TabletId)).redo.durable {
			p.RedoBytes = uint32(room / leaders)
		}
	}
}

// carry takes the payload of a part that was written; a durable part has none.
func (t *Txn) carry(sh *share, payload []byte) error {
	c := &sh.redo
	switch {
	case len(payload) == 0:
		t.carried -= c.bytes
		*c = carried{durable: true}
	case c.durable:
		return fmt.Errorf("BUG: tablet %d has a part of transaction %d in memory and another one on disk", sh.tablet, t.id)
	default:
		n := len(payload) + payloadOverhead
		if c.payloads == nil {
			c.payloads = sh.room.redo[:0]
		}
		c.payloads = append(c.payloads, payload)
		c.bytes += n
		t.carried += n
	}
	return nil
}
