package redo

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

type nobody struct{}

func (nobody) Alive(types.BEID) bool               { return false }
func (nobody) Address(types.BEID) string           { return "" }
func (nobody) Away(types.BEID, time.Duration) bool { return false }

// TestIdle: without rows in commits the driver waits for a change of the catalog alone, and after one it looks once in a while.
func TestIdle(t *testing.T) {
	w := fakecluster.New(t, 1, 1, types.QuorumMajority)
	d := New(Options{Log: w.Log, Members: nobody{}, Clients: w.Clients, Logger: slog.New(slog.DiscardHandler)})
	tm := &term{Driver: d, plan: NewPlanner(), bes: map[types.BEID]*backend{}, ended: make(chan visit), slots: make(chan struct{}, visitsMax)}
	now := time.Now()
	if _, idle := tm.step(context.Background(), now); !idle {
		t.Fatal("it does not rest although there is nothing to do")
	}
	d.Poke(w.BEs[0].ID)
	if _, idle := tm.step(context.Background(), now); !idle || len(tm.bes) != 0 {
		t.Fatal("a poke keeps it awake although there is nothing to give")
	}
	id := w.Log.Must(t, &command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: 1}).(catalog.AllocResult).First
	tab := w.Tablet(t, w.Tablets[0])
	w.Log.Must(t, &command.CommitTxn{Txn: types.TxnID(id), Tablets: []command.TxnTablet{{Tablet: tab.ID, Epoch: tab.Epoch, OK: []types.ReplicaID{tab.Replicas[0].ID},
		Redo: [][]byte{{1}}}}})
	tm.next = now.Add(roundPause) // as after a change
	if pause, idle := tm.step(context.Background(), now); idle || pause != roundPause {
		t.Errorf("it looks again after %v, idle %v", pause, idle)
	}
	now = now.Add(roundPause)
	if pause, idle := tm.step(context.Background(), now); idle || pause != roundPause || !tm.next.Equal(now.Add(roundPause)) {
		t.Errorf("with rows it looks again after %v, idle %v", pause, idle)
	}
}
