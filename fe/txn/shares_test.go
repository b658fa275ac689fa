package txn

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestShares holds shares against a map; what was dropped is never used again.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s shares
		model, gone := map[types.TabletID]*share{}, map[*share]bool{}
		tablet := func(t *rapid.T) types.TabletID { return types.TabletID(rapid.IntRange(1, 5).Draw(t, "tablet")) }
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := tablet(t)
				if model[id] != nil {
					return
				}
				sh := s.add(id)
				if gone[sh] || sh.tablet != id || sh.seq != 0 {
					t.Fatalf("share %+v of tablet %d was there before", sh, id)
				}
				sh.seq = 1
				model[id] = sh
			},
			"drop": func(t *rapid.T) {
				id := tablet(t)
				if model[id] != nil {
					gone[model[id]] = true
				}
				delete(model, id)
				s.drop(id)
			},
			"clear": func(*rapid.T) {
				for _, sh := range model {
					gone[sh] = true
				}
				clear(model)
				s.clear()
			},
			"": func(t *rapid.T) {
				all := map[types.TabletID]*share{}
				for sh := range s.all() {
					all[sh.tablet] = sh
				}
				if s.len() != len(model) || !maps.Equal(all, model) {
					t.Fatalf("%d shares %v, not %v", s.len(), all, model)
				}
				for id := range types.TabletID(6) {
					if s.get(id) != model[id] {
						t.Fatalf("tablet %d has %v, not %v", id, s.get(id), model[id])
					}
				}
			},
		})
	})
}
