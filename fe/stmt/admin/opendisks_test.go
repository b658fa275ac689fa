package admin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/proto/bepb"
)

// opLog keeps what is entered in the operation log.
type opLog struct {
	stmt.Log
	ops []string
}

func (l *opLog) Propose(_ context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	for _, c := range cmds {
		op := c.(*command.AddOp).Op
		l.ops = append(l.ops, op.Kind+" "+op.Target+" "+op.State.String())
	}
	return nil, nil
}

// TestOpenedDisksAreInTheOperationLog: each that the statement has opened, even if the next one does not open; what is open already is not.
func TestOpenedDisksAreInTheOperationLog(t *testing.T) {
	log := &opLog{}
	env := &stmt.Env{Log: log}
	open := func(path string) (*bepb.OpenDiskResponse, error) {
		if path == "/broken" {
			return nil, errors.New("structure needs cleaning")
		}
		return &bepb.OpenDiskResponse{Tablets: 3, Opened: path != "/open"}, nil
	}
	if r, err := openEach(t.Context(), env, []string{"/open"}, "10.0.1.1:9050", open); err != nil || r.Affected != 0 {
		t.Errorf("opened %d disks that are open: %v", r.Affected, err)
	}
	_, err := openEach(t.Context(), env, []string{"/disk3", "/broken", "/disk4"}, "10.0.1.1:9050", open)
	if err == nil || !strings.Contains(err.Error(), "/broken") {
		t.Errorf("a broken disk is opened: %v", err)
	}
	if want := []string{"alter_system_open_disk /disk3 on 10.0.1.1:9050 DONE"}; !slices.Equal(log.ops, want) {
		t.Errorf("the operation log has %q, want %q", log.ops, want)
	}
}
