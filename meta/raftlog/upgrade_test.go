package raftlog

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"stele/meta/command"
)

// newerVersion is the version of the body of a command as a newer binary writes it.
const newerVersion = 9

// newer encodes a command as a newer binary does.
func newer(t *testing.T, c command.Command) []byte {
	t.Helper()
	b, err := command.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	b[3] = newerVersion
	return b
}

// newerDecode is how a newer binary reads commands.
func newerDecode(b []byte) (command.Command, error) {
	if len(b) > 3 && b[3] == newerVersion {
		b = append([]byte(nil), b...)
		b[3] = 1
	}
	return command.Decode(b)
}

// TestRollingUpgrade: a group of two versions goes on until the first command that the older one does not know. That one
// stops with the name of the command and has changed nothing; the others go on without it, and with the newer binary
// it catches up.
func TestRollingUpgrade(t *testing.T) {
	logs := group(t, func(cfg *Config) {
		if cfg.ID != "fe3" {
			cfg.decode = newerDecode
		}
	})
	ctx := testContext(t)
	leader, old := logs[0], logs[2]
	create(t, ctx, leader, "by_the_newer")
	if err := leader.TransferLeadership(ctx, "fe3"); err != nil { // the older one may lead meanwhile
		t.Fatal(err)
	}
	lead(t, old)
	create(t, ctx, old, "by_the_older")
	if _, err := old.ProposeEncoded(ctx, Tag{}, [][]byte{newer(t, &command.CreateDatabase{Name: "refused"})}); err == nil {
		t.Error("the older one proposes what it does not know")
	}
	if err := old.TransferLeadership(ctx, "fe1"); err != nil {
		t.Fatal(err)
	}
	lead(t, leader)
	if err := leader.raft.ApplyLog(raft.Log{Data: newer(t, &command.CreateDatabase{Name: "newer"})}, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-old.Failed():
	case <-ctx.Done():
		t.Fatal("the older one has passed over a command that it does not know")
	}
	var unknown *command.UnknownError
	if !errors.As(old.Failure(), &unknown) || unknown.Name != "create_database" || unknown.Version != newerVersion {
		t.Errorf("the older one stops with %v", old.Failure())
	}
	for name, there := range map[string]bool{"by_the_newer": true, "by_the_older": true, "newer": false} {
		if _, ok := old.Current().Database(name); ok != there {
			t.Errorf("the older one has %s: %v", name, ok)
		}
	}
	create(t, ctx, leader, "later") // two of three are a majority

	cfg := old.cfg
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", cfg.Advertise)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listener, cfg.decode = listener, newerDecode
	again := open(t, cfg)
	index, err := leader.ReadIndex(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, err := again.WaitApplied(ctx, index)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"by_the_newer", "by_the_older", "newer", "later"} {
		if _, ok := c.Database(name); !ok {
			t.Errorf("after its upgrade fe3 lacks %s", name)
		}
	}
}
