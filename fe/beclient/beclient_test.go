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
