package raftlog

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// A leader that hangs or is cut off is noticed by its silence, which takes as long as a healthy leader may be silent. One
// whose process has ended is noticed at once: the system closes its connections and refuses new ones. Its followers
// then call an election without waiting, one after the other so that they do not stand against each other.
//
// This only hurries an election: who wins it is decided as in any other.

const (
	crashDial  = 200 * time.Millisecond // an address that does not answer for so long is not refused
	crashTries = 3
	crashPause = 20 * time.Millisecond
	// crashStep is the head start of a voter over the next one: an election takes less.
	crashStep = 100 * time.Millisecond
)

// lostConn is a connection of a peer that tells when the peer has closed it or is gone.
type lostConn struct {
	net.Conn
	id   string
	lost func(id string)
	once sync.Once
}

// Read reads, and tells of an end.
func (c *lostConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		c.once.Do(func() { c.lost(c.id) })
	}
	return n, err
}

// lostPeer takes in that a connection of a peer has ended. It does not wait: what is lost here is noticed by silence.
func (l *Log) lostPeer(id string) {
	select {
	case l.lost <- id:
	default:
	}
}

// watchCrashes looks whether the leader has crashed when a connection of it ends.
func (l *Log) watchCrashes() {
	defer l.wg.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with this function at the latest
		select {
		case <-l.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	if l.onlyVoter() {
		l.callElection(ctx, "") // there is no leader whose silence would have to last
	}
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-l.lost:
			if l.crashed(ctx, id) {
				l.callElection(ctx, id)
			}
		}
	}
}

// crashed reports whether id leads and nobody listens at its address. The system closes what a process had open one after
// the other, so that an address may still be open for a moment when a connection has ended already.
func (l *Log) crashed(ctx context.Context, id string) bool {
	for try := 0; ; try++ {
		addr, leader := l.raft.LeaderWithID()
		if string(leader) != id || id == l.cfg.ID {
			return false
		}
		if l.refused(ctx, string(addr)) {
			return true
		}
		if try == crashTries {
			return false
		}
		timer := time.NewTimer(crashPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// refused reports whether a connection to an address is refused. One that is not is greeted, so that the peer sees no stranger.
func (l *Log) refused(ctx context.Context, addr string) bool {
	dctx, cancel := context.WithTimeout(ctx, crashDial)
	defer cancel()
	c, err := l.stream.dial(dctx, addr)
	if err == nil {
		_ = c.Close() // it lives, and loses a connection that said nothing
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// callElection has this FE stand for leader in place of one that has crashed ("" = there was none), after those voters that come
// before it.
func (l *Log) callElection(ctx context.Context, crashed string) {
	servers, err := l.Servers()
	if err != nil {
		return
	}
	var voters []string
	for _, s := range servers {
		if s.Voter && s.ID != crashed {
			voters = append(voters, s.ID)
		}
	}
	slices.Sort(voters)
	rank := slices.Index(voters, l.cfg.ID)
	if rank < 0 {
		return // it has no vote, or does not know yet that it has
	}
	timer := time.NewTimer(time.Duration(rank) * crashStep)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	if _, leader := l.raft.LeaderWithID(); string(leader) != crashed {
		return
	}
	if crashed != "" {
		l.cfg.Log.Info("the leader has crashed: this frontend calls an election", "leader", crashed)
	}
	req := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(l.cfg.ID), Addr: []byte(l.cfg.Advertise)}}
	var resp raft.TimeoutNowResponse
	if err := l.transport.TimeoutNow(raft.ServerID(l.cfg.ID), l.transport.LocalAddr(), req, &resp); err != nil {
		l.cfg.Log.Debug("call an election", "err", err) // the leader's silence does
	}
}
