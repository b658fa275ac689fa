//go:build !unix

package server

import "time"

func processorTime() (time.Duration, bool) { return 0, false }
