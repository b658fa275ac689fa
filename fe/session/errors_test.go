package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"stele/fe/dist"
	"stele/fe/quorum"
	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/raftlog"
	"stele/meta/rpc"
	"stele/proto/bepb"
	"stele/sql/errno"
)

// TestNoRoomError: a log without room is 1021, unless the outcome of a commit is unknown: nothing may make that look certain.
func TestNoRoomError(t *testing.T) {
	full := fmt.Errorf("commit: %w", raftlog.ErrNoRoom)
	for err, want := range map[error]uint16{full: 1021, errors.Join(full, &txn.UnknownError{Txn: 1, Err: full}): 1180} {
		var known server.MySQLError
		if got := mysqlError(err); !errors.As(got, &known) {
			t.Errorf("%v has no number", got)
		} else if code, _, _ := known.MySQL(); code != want {
			t.Errorf("%v is %d, want %d", err, code, want)
		}
	}
}

// TestUnknownOutcomeError: whichever FE finds that the outcome of a change is unknown, the client hears the number that forbids a repetition.
func TestUnknownOutcomeError(t *testing.T) {
	told := &rpc.Error{Msg: raftlog.ErrOutcomeUnknown.Error(), Reason: quorum.ReasonUnknown}
	for _, err := range []error{raftlog.ErrOutcomeUnknown, fmt.Errorf("%w: %w", raftlog.ErrOutcomeUnknown, told)} {
		var known server.MySQLError
		if got := mysqlError(err); !errors.As(got, &known) {
			t.Errorf("%v has no number", got)
		} else if code, state, _ := known.MySQL(); code != 1180 || state != "08007" {
			t.Errorf("%v is %d (%s), want 1180 (08007)", err, code, state)
		}
	}
}

// TestUnknownOutcomeOfAStatement: the answer of another FE, which has a number of its own, does not hide that the outcome is unknown.
func TestUnknownOutcomeOfAStatement(t *testing.T) {
	s := &Session{sh: &Shared{Parts: Parts{Logger: slog.New(slog.DiscardHandler)}}}
	told := &rpc.Error{Msg: raftlog.ErrOutcomeUnknown.Error(), Reason: quorum.ReasonUnknown}
	for _, err := range []error{fmt.Errorf("%w: %w", raftlog.ErrOutcomeUnknown, told), &txn.UnknownError{Txn: 1, Err: told}} {
		var known server.MySQLError
		if got := s.translate(t.Context(), "CREATE TABLE t (a INT)", err); !errors.As(got, &known) {
			t.Errorf("%v has no number", got)
		} else if code, state, _ := known.MySQL(); code != 1180 || state != "08007" {
			t.Errorf("%v is %d (%s), want 1180 (08007)", err, code, state)
		}
	}
}

// TestInterruptedInDoubt: a statement that KILL or its time limit ends while its change is on its way is not said to have done nothing.
func TestInterruptedInDoubt(t *testing.T) {
	s := &Session{sh: &Shared{Parts: Parts{Logger: slog.New(slog.DiscardHandler)}}}
	for _, cause := range []error{context.Canceled, sqlErr(3024, "maximum statement execution time exceeded")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		for _, err := range []error{fmt.Errorf("%w: %w", raftlog.ErrOutcomeUnknown, ctx.Err()), &txn.UnknownError{Txn: 1, Err: ctx.Err()}} {
			var known server.MySQLError
			if got := s.translate(ctx, "CREATE TABLE t (a INT)", outOfTime(ctx, err)); !errors.As(got, &known) {
				t.Errorf("%v has no number", got)
			} else if code, state, _ := known.MySQL(); code != 1180 || state != "08007" {
				t.Errorf("%v after %v is %d (%s), want 1180 (08007)", err, cause, code, state)
			}
		}
	}
}

// TestNoTabletLeaderError: a write that no leader of its tablet took in time is 1205, which says that it can be repeated.
func TestNoTabletLeaderError(t *testing.T) {
	retry := &txn.RetryError{Err: errors.New("tablet 10031 has no live leader"), Tablet: 10031}
	for _, err := range []error{retry, errors.Join(retry, errors.New("rollback"))} {
		var known server.MySQLError
		if got := mysqlError(err); !errors.As(got, &known) {
			t.Errorf("%v has no number", got)
		} else if code, _, _ := known.MySQL(); code != 1205 {
			t.Errorf("%v is %d, want 1205", err, code)
		}
	}
}

// TestQuorumError: a write for which too few replicas are left names what it waited for and the ways out, also when other
// errors came on the way.
func TestQuorumError(t *testing.T) {
	few := &txn.RetryError{Err: &catalog.ErrQuorum{Tablet: 10031, Have: 1, Need: 2}, Tablet: 10031}
	for _, err := range []error{few, fmt.Errorf("commit: %w", few), errors.Join(few, &txn.RetryError{Err: errors.New("tablet 10031 has no live leader")})} {
		got := mysqlError(err).Error()
		for _, want := range []string{"nothing of it is in effect", "asks for 2 complete replicas of tablet 10031 and 1 took it", "SHOW BACKENDS", "'write_quorum' = 'ONE'"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q lacks %q", got, want)
			}
		}
	}
}

// TestLostRows: a client hears what became of its transaction, in words that are not those of the nodes among themselves.
func TestLostRows(t *testing.T) {
	lost := &dist.LostRowsError{Tablet: 71}
	var known server.MySQLError
	if got := mysqlError(lost); !errors.As(got, &known) {
		t.Fatalf("%v has no number", got)
	} else if code, _, _ := known.MySQL(); code != errno.LockWaitTimeout {
		t.Errorf("a statement that may be repeated is %d", code)
	}
	s := &Session{sh: &Shared{Parts: Parts{Logger: slog.New(slog.DiscardHandler)}}}
	stale := &txn.RetryError{Err: errors.New("tablet 71: epoch 3 is older than 4")}
	for _, c := range []struct {
		err  error
		says string
	}{
		{errors.Join(lost, stale), "could not be written again in time"},
		{errors.Join(stale, &txn.Refusal{Code: bepb.WriteResponse_CONFLICT, Msg: "tablet 71: a row changed at version 9"}), "another transaction changed them"},
		{&txn.RetryError{Err: errors.New("tablet 71 is no more"), Gone: true}, "altered, truncated or dropped"},
		{&txn.RetryError{Err: &catalog.ErrQuorum{Tablet: 5, Need: 2, Have: 1}}, "asks for 2 complete replicas of tablet 5"},
		{errors.New("write on be 71: rpc error"), "could not be undone alone"},
	} {
		got := s.lostTransaction(c.err)
		if !errors.As(got, &known) {
			t.Fatalf("%v has no number", got)
		}
		if code, _, msg := known.MySQL(); code != errno.Deadlock || !strings.Contains(msg, c.says) || strings.Contains(msg, "71") || strings.Contains(msg, "\n") {
			t.Errorf("%v is %d %s", c.err, code, msg)
		}
	}
}
