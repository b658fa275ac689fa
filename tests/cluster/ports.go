package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// A cluster takes a block of a thousand ports: `stele local` spreads its nodes over 700 of them, and the HTTP ports of the
// frontends follow. Blocks end below the ports that the kernel gives to clients.
const (
	blockSize   = 1000
	firstBlock  = 11
	lastBlock   = 30
	httpOffset  = 800
	blockTries  = 60
	maxPerKind  = 16 // nodes of one kind for which ports are looked at, those that tests add included
	nodeOffsets = 7  // blocks of a hundred ports that start at the MySQL port

	// Where the ports of backends lie in a block: fe/local's scheme.
	rpcOffset    = 400
	beHTTPOffset = 500
	gossipOffset = 600
)

// takePorts finds a block whose ports are free and locks it against other test processes until the file is closed.
func takePorts(frontends, backends int) (lock *os.File, mysqlPort, httpPort int, err error) {
	if frontends > maxPerKind || backends > maxPerKind {
		return nil, 0, 0, fmt.Errorf("%d frontends and %d backends: at most %d each", frontends, backends, maxPerKind)
	}
	var last error
	for range blockTries {
		base := blockSize * (firstBlock + rand.IntN(lastBlock-firstBlock+1))
		lock, err := lockBlock(base)
		if err != nil {
			last = err
			continue
		}
		if last = blockFree(base); last == nil {
			return lock, base, base + httpOffset, nil
		}
		_ = lock.Close()
	}
	return nil, 0, 0, fmt.Errorf("no free block of ports found: %w", last)
}

func lockBlock(base int) (*os.File, error) {
	path := filepath.Join(os.TempDir(), "stele-ports-"+strconv.Itoa(base)+".lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock ports: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("ports from %d on are in use by another test: %w", base, err), f.Close())
	}
	return f, nil
}

func blockFree(base int) error {
	for n := range maxPerKind {
		for kind := range nodeOffsets {
			if err := portFree(base + 100*kind + n); err != nil {
				return err
			}
		}
		if err := portFree(base + httpOffset + n); err != nil {
			return err
		}
	}
	return nil
}

func portFree(port int) error {
	addr := "127.0.0.1:" + strconv.Itoa(port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return errors.Join(l.Close(), p.Close())
}
