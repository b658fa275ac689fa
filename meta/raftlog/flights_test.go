package raftlog

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"stele/meta/command"
	"stele/meta/types"
)

// TestNextFollows: an entry follows the one before when it is stored, or when the state machine has it if nobody else has to take it in.
func TestNextFollows(t *testing.T) {
	for name, c := range map[string]struct {
		alone bool
		event func(*flights)
		free  bool
	}{
		"stored beside followers":   {false, (*flights).entryStored, true},
		"applied beside followers":  {false, (*flights).free, true},
		"stored alone":              {true, (*flights).entryStored, false},
		"applied alone":             {true, (*flights).free, true},
		"ended alone, never stored": {true, func(f *flights) { f.landed(f.list[0].data, ErrBusy) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlights()
			f.slots <- struct{}{}
			p := &proposal{encoded: [][]byte{{1}}, done: make(chan outcome, 1)}
			f.begin([]byte{1}, []*proposal{p}, c.alone)
			if !f.storing.Load() {
				t.Fatal("the next entry may follow at once")
			}
			c.event(&f)
			if free := !f.storing.Load(); free != c.free {
				t.Errorf("the next entry may follow: %v, want %v", free, c.free)
			}
			select {
			case <-f.stored:
				if !c.free {
					t.Error("woken in vain")
				}
			default:
				if c.free {
					t.Error("nobody was woken")
				}
			}
		})
	}
}

// TestOlderEndsLater: that an entry has ended says nothing of the one behind it, which Raft may still be storing.
func TestOlderEndsLater(t *testing.T) {
	f := newFlights()
	for i := range byte(2) {
		f.slots <- struct{}{}
		f.begin([]byte{i}, nil, true)
		if i == 0 {
			f.free() // the state machine begins with it
		}
	}
	f.landed(f.list[0].data, nil)
	if !f.storing.Load() {
		t.Error("a third entry may follow before the second is stored")
	}
}

// TestCommandIsWhatIsDecoded: what the state machine gets of an entry of this FE is what the others, and a restart, read out of its bytes.
func TestCommandIsWhatIsDecoded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		f := newFlights()
		f.slots <- struct{}{}
		data, proposals := entryOf(t, rnd)
		f.begin(data, proposals, true)
		got := f.command(data)
		want, err := command.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("handed over is\n%+v\ndecoded is\n%+v", got, want)
		}
		if f.command(slices.Clone(data)) != nil {
			t.Fatal("an entry that Raft has read back was taken for one on its way")
		}
	}
}

// entryOf is an entry of commits as transactions make them.
func entryOf(t *testing.T, rnd *rand.Rand) ([]byte, []*proposal) {
	t.Helper()
	var all [][]byte
	var proposals []*proposal
	for range 1 + rnd.IntN(5) {
		p := &proposal{done: make(chan outcome, 1)}
		for range 1 + rnd.IntN(2) {
			c := commitOf(rnd)
			encoded, err := command.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			p.cmds, p.encoded = append(p.cmds, c), append(p.encoded, encoded)
		}
		all, proposals = append(all, p.encoded...), append(proposals, p)
	}
	data, err := command.EncodeBatch(all)
	if err != nil {
		t.Fatal(err)
	}
	return data, proposals
}

func commitOf(rnd *rand.Rand) *command.CommitTxn {
	c := &command.CommitTxn{Txn: types.TxnID(rnd.Uint64()), TimeMs: rnd.Int64()}
	for range 1 + rnd.IntN(3) {
		part := command.TxnTablet{Tablet: types.TabletID(rnd.Uint64()), Epoch: types.Epoch(rnd.Uint64N(30)), Rows: rnd.Int64N(5) - 2}
		for range 1 + rnd.IntN(3) {
			part.OK = append(part.OK, types.ReplicaID(rnd.Uint64N(1<<20)))
		}
		for range rnd.IntN(3) {
			part.Redo = append(part.Redo, []byte(strings.Repeat("x", 1+rnd.IntN(300))))
		}
		c.Tablets = append(c.Tablets, part)
	}
	return c
}

// TestOtherCommandsAreDecoded: nothing but commits is handed over, and nothing that another FE has encoded.
func TestOtherCommandsAreDecoded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, change := range map[string]func(p *proposal){
		"another command": func(p *proposal) { p.cmds[len(p.cmds)-1] = &command.AbortTxns{} },
		"forwarded":       func(p *proposal) { p.cmds = nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlights()
			f.slots <- struct{}{}
			data, proposals := entryOf(t, rnd)
			change(proposals[len(proposals)-1])
			f.begin(data, proposals, true)
			if got := f.command(data); got != nil {
				t.Errorf("handed over: %+v", got)
			}
		})
	}
}

// TestFailureLeavesOutcomesUnknown: an entry that is in the log when the state machine has stopped may be applied by other FEs, and by this one
// when it is started again.
func TestFailureLeavesOutcomesUnknown(t *testing.T) {
	for _, stop := range []bool{false, true} {
		var landed []any
		f := newFSM(func([]byte) (command.Command, error) { return nil, errors.New("unreadable") }, func([]byte) command.Command { return nil })
		f.landed = func(_ *raft.Log, result any) { landed = append(landed, result) }
		if stop {
			_ = f.fail(ErrNotStored)
		}
		f.ApplyBatch([]*raft.Log{{Index: 1, Type: raft.LogCommand}})
		if err, ok := landed[0].(error); !ok || !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, f.failure()) {
			t.Errorf("stopped before: %v, an entry came to %v", stop, landed[0])
		}
	}
}
