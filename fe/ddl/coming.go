package ddl

import (
	"context"
	"time"
)

// comingLook is how often a statement looks for BEs that are coming, comingFor how long where the leading FE does not tell that they have had
// their time.
const (
	comingLook = 20 * time.Millisecond
	comingFor  = 10 * time.Second
)

// awaitComing waits for BEs that have given no sign yet and may be about to: an FE takes connections before it has heard of its BEs, and who
// finds a cluster that has just been started is not to be told that it has none.
func (d *Tables) awaitComing(ctx context.Context) {
	if !d.anyComing() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, comingFor)
	defer cancel()
	tick := time.NewTicker(comingLook)
	defer tick.Stop()
	for d.anyComing() {
		select {
		case <-ctx.Done():
			return // placement says who is away
		case <-tick.C:
		}
	}
}

func (d *Tables) anyComing() bool {
	for be := range d.log.Current().BEs() {
		if !be.Decommission && d.live.Coming(be.ID) {
			return true
		}
	}
	return false
}
