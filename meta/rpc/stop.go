package rpc

import (
	"time"

	"google.golang.org/grpc"
)

// Stop lets the calls under way finish for at most grace, then ends them.
func Stop(s *grpc.Server, grace time.Duration) { endWithin(grace, s.GracefulStop, s.Stop) }

// endWithin returns when end has, which hurry has it do at once when grace is over.
func endWithin(grace time.Duration, end, hurry func()) {
	done := make(chan struct{})
	go func() {
		end()
		close(done)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		hurry()
		<-done
	}
}
