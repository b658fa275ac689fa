package rpc

import (
	"time"

	"google.golang.org/grpc"
)

// Stop lets the calls under way finish for at most grace, then ends them.
func Stop(s *grpc.Server, grace time.Duration) {
	done := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(done)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.Stop()
		<-done
	}
}
