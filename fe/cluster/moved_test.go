package cluster_test

import (
	"testing"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/command"
)

// TestMovedIsNotDead ends what listens at the address that a BE had, once the catalog has another one for it.
func TestMovedIsNotDead(t *testing.T) {
	w := newWorld(t, 1)
	w.run()
	be := w.BEs[0]
	w.await(cluster.BEUp, be.ID)
	old := w.c.Address(be.ID)
	known, _ := w.Log.Current().BE(be.ID)
	w.Log.Must(t, &command.SetBEAddress{BE: be.ID, Host: "127.0.0.9", Port: known.Port})
	be.Stop()
	fakecluster.Eventually(w.t, "the new address", func() bool { return w.c.Address(be.ID) != old })
	for {
		select {
		case e := <-w.events:
			if e.Kind == cluster.BEDown {
				t.Fatal("a BE that has moved was taken for dead")
			}
		default:
			return
		}
	}
}
