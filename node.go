package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"stele/be"
	"stele/conf/cmdline"
	"stele/fe"
)

// runNode runs a frontend and a backend in one process until a signal asks them to end.
func runNode(ctx context.Context, args []string, e env) int {
	flags := cmdline.New("stele node", "usage: stele node [--fe FILE] [--be FILE]\n", e.stdout, e.stderr)
	feConf := flags.String("fe", "conf/fe.conf", "configuration `file` of the frontend")
	beConf := flags.String("be", "conf/be.conf", "configuration `file` of the backend")
	if _, code, ok := flags.Parse(args, 0, 0); !ok {
		return code
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + flushing)
	}
	be.LimitMemory(*beConf)
	return exitCode(e, runBoth(ctx, e.stdout,
		func(ctx context.Context, out io.Writer) error { return fe.Run(ctx, *feConf, shortVersion(), out) },
		func(ctx context.Context, out io.Writer) error { return be.Run(ctx, *beConf, shortVersion(), out) }))
}

// flushing is how many processors of the Go runtime a process of both roles has more than there are cores: a thread that waits for the
// disk in the frontend's log keeps its processor meanwhile, and the backend would have one less for what others ask of it. Two processes
// have twice as many.
const flushing = 1

// runBoth runs a frontend and a backend. When ctx ends the frontend ends first, so that no statement runs when the backend goes; the
// failure of one of them ends both. A frontend that ends by itself, or was dropped from its cluster before it was started, leaves the
// backend: its replicas are not dropped by that.
func runBoth(ctx context.Context, stdout io.Writer, frontend, backend func(context.Context, io.Writer) error) error {
	feCtx, stopFE := context.WithCancel(ctx)
	defer stopFE()
	beCtx, stopBE := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBE()
	feEnd, beEnd := make(chan error, 1), make(chan error, 1)
	out := &lines{w: stdout}
	go func() { feEnd <- frontend(feCtx, out) }()
	go func() { beEnd <- backend(beCtx, out) }()
	var feErr error
	select {
	case feErr = <-feEnd:
	case beErr := <-beEnd:
		stopFE()
		return errors.Join(beErr, <-feEnd)
	}
	dropped := errors.Is(feErr, fe.ErrDropped)
	if (feErr == nil || dropped) && ctx.Err() == nil {
		if dropped {
			fmt.Fprintln(out, feErr)
			feErr = nil
		}
		fmt.Fprintln(out, "the backend goes on without the frontend")
		select {
		case <-ctx.Done():
		case beErr := <-beEnd:
			return beErr
		}
	}
	stopBE()
	return errors.Join(feErr, <-beEnd)
}

// lines keeps what the two print apart.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes one line.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
