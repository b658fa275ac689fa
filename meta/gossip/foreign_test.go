package gossip

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"stele/meta/types"
)

// TestStrangersAreTold: memberlist says only in its log that it refused a packet; should it word that otherwise one day,
// this fails.
func TestStrangersAreTold(t *testing.T) {
	type met struct {
		address string
		cluster types.ClusterID
	}
	told := make(chan met, 64)
	open := func(cluster types.ClusterID, name string) *Gossip {
		g, err := New(Config{Cluster: cluster, Name: name, BindHost: "127.0.0.1", Profile: Fast, Log: slog.New(slog.DiscardHandler),
			Refused: func(address string, theirs types.ClusterID) {
				select {
				case told <- met{address, theirs}:
				default:
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
		return g
	}
	one := open("one", "a")
	two := open(`t"wo`, "b")
	var stranger met
	for stranger.cluster == "" {
		if err := two.Join(one.Addr()); err == nil {
			t.Fatal("clusters mix")
		}
		select {
		case stranger = <-told:
		case <-time.After(time.Second):
		}
	}
	if stranger.cluster != `t"wo` || stranger.address == "" {
		t.Errorf("told of %+v", stranger)
	}
	if len(one.Members()) != 1 {
		t.Errorf("members: %v", one.Members())
	}
}

// TestSilentIsNotTold: a connection that ends before a word is said is none of another cluster.
func TestSilentIsNotTold(t *testing.T) {
	told := make(chan string, 64)
	g, err := New(Config{Cluster: "c", Name: "a", BindHost: "127.0.0.1", Profile: Fast, Log: slog.New(slog.DiscardHandler),
		Refused: func(address string, theirs types.ClusterID) { told <- address + " of cluster " + string(theirs) }})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil { // it was looked at and closed
		t.Fatal("an answer to nothing")
	}
	if err := errors.Join(c.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	if len(told) > 0 {
		t.Errorf("told of %s", <-told)
	}
}

// TestUnreadableIsTold: memberlist says only in its log that it cannot decrypt a packet, or that one is not encrypted.
func TestUnreadableIsTold(t *testing.T) {
	for name, keys := range map[string][2][]byte{
		"another key":      {[]byte("0123456789abcdef"), []byte("fedcba9876543210")},
		"not encrypted":    {[]byte("0123456789abcdef"), nil},
		"encrypted, alone": {nil, []byte("0123456789abcdef")},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 64)
			open := func(name string, key []byte) *Gossip {
				cfg := Config{Cluster: "c", Name: name, BindHost: "127.0.0.1", Profile: Fast, Log: slog.New(slog.DiscardHandler),
					Unreadable: func(address, why string) {
						select {
						case told <- name + " " + address + " " + why:
						default:
						}
					}}
				if key != nil {
					cfg.Keys = [][]byte{key}
				}
				g, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := g.Close(); err != nil {
						t.Error(err)
					}
				})
				return g
			}
			one, two := open("one", keys[0]), open("two", keys[1])
			var first string
			for first == "" { // a connection that a busy machine has end before a word is said tells of nothing
				if err := two.Join(one.Addr()); err == nil {
					t.Fatal("they mix")
				}
				select {
				case first = <-told:
				case <-time.After(time.Second):
				}
			}
			if !strings.HasPrefix(first, "one 127.0.0.1") {
				t.Errorf("told %q", first)
			}
		})
	}
}
