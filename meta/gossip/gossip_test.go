package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/meta/types"
)

func start(t *testing.T, cluster types.ClusterID, name string, key []byte) *Gossip {
	t.Helper()
	if key == nil {
		return startIn(t, cluster, name)
	}
	return startIn(t, cluster, name, key)
}

// startKeys starts a node with a keyring.
func startKeys(t *testing.T, name string, keys ...[]byte) *Gossip {
	t.Helper()
	return startIn(t, "k", name, keys...)
}

func startIn(t *testing.T, cluster types.ClusterID, name string, keys ...[]byte) *Gossip {
	t.Helper()
	g, err := New(Config{
		Cluster: cluster, Name: name, BindHost: "127.0.0.1", Keys: keys, Profile: Fast,
		Meta: Meta{Kind: KindBE, Host: "127.0.0.1", RPCPort: 9060, Incarnation: 5}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// await reads events until one of each of these nodes has come, in any order: what joins one after the other is not told so.
func await(t *testing.T, g *Gossip, typ EventType, names ...string) map[string]Event {
	t.Helper()
	late := time.After(time.Minute)
	found := map[string]Event{}
	var seen []string
	for len(found) < len(names) {
		select {
		case e, ok := <-g.Events():
			if !ok {
				t.Fatalf("events ended; seen %v", seen)
			}
			if e.Type == typ && slices.Contains(names, e.Member.Name) {
				found[e.Member.Name] = e
			}
			seen = append(seen, fmt.Sprintf("%s %s", e.Type, e.Member.Name))
		case <-late:
			t.Fatalf("not %s of each of %s; seen %v", typ, names, seen)
		}
	}
	return found
}

func TestMembership(t *testing.T) {
	a, b, c := start(t, "x", "a", nil), start(t, "x", "b", nil), start(t, "x", "c", nil)
	for _, g := range []*Gossip{b, c} {
		if err := g.Join(a.Addr()); err != nil {
			t.Fatal(err)
		}
	}
	if m := await(t, a, Joined, "b", "c")["b"].Member.Meta; m.RPCPort != 9060 || m.Kind != KindBE {
		t.Errorf("b says %+v", m)
	}
	await(t, b, Joined, "c")

	if err := c.SetMeta(Meta{Kind: KindBE, ID: 10003, Incarnation: 6, Load: Load{Replicas: 12}}); err != nil {
		t.Fatal(err)
	}
	if m := await(t, a, Updated, "c")["c"].Member.Meta; m.ID != 10003 || m.Load.Replicas != 12 {
		t.Errorf("c says %+v", m)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	await(t, a, Left, "c")
	if err := b.Close(); err != nil { // without a word
		t.Fatal(err)
	}
	await(t, a, Died, "b")
	if m := a.Members(); len(m) != 1 || m[0].Name != "a" {
		t.Errorf("members %+v", m)
	}
}

func TestStrangersStayOut(t *testing.T) {
	key := []byte("0123456789abcdef")
	for _, tc := range []struct {
		name    string
		cluster types.ClusterID
		key     []byte
		in      bool
	}{
		{"same cluster and key", "x", key, true},
		{"other cluster", "y", key, false},
		{"no key", "x", nil, false},
		{"other key", "x", []byte("fedcba9876543210"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := start(t, "x", "a", key), start(t, tc.cluster, "b", tc.key)
			if err := b.Join(a.Addr()); (err == nil) != tc.in {
				t.Errorf("join: %v, want in = %v", err, tc.in)
			}
			if err := a.Join(b.Addr()); (err == nil) != tc.in {
				t.Errorf("join the other way: %v, want in = %v", err, tc.in)
			}
			if n := len(a.Members()); (n == 2) != tc.in {
				t.Errorf("%d members, want in = %v", n, tc.in)
			}
		})
	}
}

func TestMetaFits(t *testing.T) {
	widest := Meta{
		Kind: KindBE, ID: 1<<64 - 1, Host: strings.Repeat("h", 253), RPCPort: 65535, HTTPPort: 65535, QueryPort: 65535, RaftPort: 65535,
		Incarnation: 1<<63 - 1, Version: strings.Repeat("v", 64), Load: Load{255, 1<<64 - 1, 1<<64 - 1, 1<<32 - 1, 1<<32 - 1},
	}
	b, err := encodeMeta(widest)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeMeta(b); err != nil || got != widest {
		t.Errorf("came back as %+v, %v", got, err)
	}
	widest.Version = strings.Repeat("v", 500)
	if _, err := encodeMeta(widest); err == nil {
		t.Error("an oversized meta was encoded")
	}
}

func FuzzDecodeMeta(f *testing.F) {
	b, err := encodeMeta(Meta{Kind: KindFE, ID: 1, Host: "h", Version: "1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Add([]byte{0xa1, 0x18, 0x63, 0x01}) // a field of a later version
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := decodeMeta(in)
		if err != nil {
			return
		}
		out, err := encodeMeta(m)
		if err != nil {
			t.Skip("a non-canonical form may be shorter than ours")
		}
		if again, err := decodeMeta(out); err != nil || again != m {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}
