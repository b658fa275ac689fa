package rpc

import (
	"time"

	"google.golang.org/grpc/backoff"
)

// reconnect is how long a broken connection waits before the next attempt: short, because a BE that restarts should
// be used again within a second, and bounded, because dead ones are many in a big cluster.
var reconnect = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
