package beclient_test

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/fe/beclient"
	"stele/meta/rpc"
)

// TestUnreachable: who is not there, or is not who was called, has not answered.
func TestUnreachable(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{status.Error(codes.Unavailable, "x"), true},
		{status.Error(codes.DeadlineExceeded, "x"), true},
		{status.Error(codes.NotFound, "x"), false},
		{&rpc.Error{Reason: rpc.ReasonWrongCluster, GRPC: codes.PermissionDenied}, true},
		{fmt.Errorf("write: %w", &rpc.Error{Reason: rpc.ReasonNoCluster, GRPC: codes.PermissionDenied}), true},
		{&rpc.Error{Reason: "busy"}, false},
		{errors.New("x"), false},
	} {
		if got := beclient.Unreachable(tc.err); got != tc.want {
			t.Errorf("%v (%s): %v", tc.err, rpc.Reason(tc.err), got)
		}
	}
}

// TestMute: what hangs takes connections, because the kernel does, and gives no sign on them. Who closes them, or speaks otherwise, does not hang.
func TestMute(t *testing.T) {
	for _, tc := range []struct {
		code codes.Code
		text string
		mute bool
	}{
		{codes.Unavailable, `connection error: desc = "error reading server preface: raw-read tcp 127.0.0.1:1->127.0.0.1:2: use of closed network connection"`, true},
		{codes.Unavailable, `connection error: desc = "error reading server preface: read tcp 127.0.0.1:1->127.0.0.1:2: i/o timeout"`, true},
		{codes.Unavailable, `connection error: desc = "error reading server preface: EOF"`, false},
		{codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:2: connect: connection refused"`, false},
		{codes.Unavailable, `error reading from server: read tcp 127.0.0.1:1->127.0.0.1:2: use of closed network connection`, false},
		{codes.Internal, `error reading server preface: i/o timeout`, false},
	} {
		if got := beclient.Mute(status.Error(tc.code, tc.text)); got != tc.mute {
			t.Errorf("%v %s: mute %v", tc.code, tc.text, got)
		}
	}
}
