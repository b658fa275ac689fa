package rpc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"stele/fe/quorum"
	"stele/meta/command"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/sql/errno"
)

// TestReasoned: what another FE and its client hear of a proposal that failed here.
func TestReasoned(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		reason string
		code   uint16
		says   string
	}{
		"not the leader":     {&raftlog.ErrNotLeader{}, quorum.ReasonNotLeader, 0, ""},
		"it closes":          {raftlog.ErrClosed, quorum.ReasonNotLeader, 0, ""},
		"too many wait":      {raftlog.ErrBusy, quorum.ReasonBusy, 0, ""},
		"a full disk":        {raftlog.ErrNoRoom, quorum.ReasonNoRoom, 0, ""},
		"in doubt":           {raftlog.ErrOutcomeUnknown, quorum.ReasonUnknown, 0, ""},
		"of a newer version": {&command.UnknownError{Name: "fly"}, "", errno.OptionPrevents, "The leading FE is of an older version and cannot do this yet (fly)"},
	} {
		var got *metarpc.Error
		if !errors.As(reasoned(fmt.Errorf("propose: %w", c.err)), &got) || got.Reason != c.reason || got.Code != c.code || !strings.HasPrefix(got.Msg, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
