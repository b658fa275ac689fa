package raftlog

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"stele/meta/command"
)

// A file of the log is allocated when the one before it is full. An FE that finds no room then can store nothing more, neither what
// heals the cluster nor what frees space, and ends. So commits, which are nearly all that grows the log, are refused while there is
// less room than that file needs, and another FE is asked to lead, also when one without room comes to lead; what is left of the
// present file is for everything else.

// roomEvery is how often the room beside the log is looked at. Commits of that time must fit into what is left of a file.
const roomEvery = time.Second

// giveWayEvery is how often a leader without room asks another FE to lead: that one may have none either.
const giveWayEvery = 15 * time.Second

// room says whether there is room for the next file of the log.
type room struct {
	dir    string
	need   int64
	free   func(dir string) (int64, error)
	scarce atomic.Bool
	asked  atomic.Pointer[time.Time] // when another FE was asked to lead, nil = not since there is no room
}

// freeBytes is how much a process may still write to the file system of dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// look looks at the room. It tells whether that has just become scarce, or enough.
func (r *room) look() (began, ended bool, err error) {
	free, err := r.free(r.dir)
	if err != nil {
		return false, false, err
	}
	scarce := free < r.need
	was := r.scarce.Swap(scarce)
	if !scarce {
		r.asked.Store(nil)
	}
	return scarce && !was, was && !scarce, nil
}

// takes reports whether a command may be proposed.
func (r *room) takes(cmd command.Command) bool {
	return cmd.Type() != command.TypeCommitTxn || !r.scarce.Load()
}

// watchRoom looks at the room beside the log until the log closes.
func (l *Log) watchRoom() {
	defer l.wg.Done()
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for {
		l.lookForRoom()
		select {
		case <-tick.C:
		case <-l.closing:
			return
		}
	}
}

func (l *Log) lookForRoom() {
	began, ended, err := l.room.look()
	switch {
	case err != nil:
		l.cfg.Log.Warn("look for room beside the metadata log", "err", err)
	case ended:
		l.cfg.Log.Info("there is room for the metadata log again", "dir", l.cfg.Dir)
	case began:
		l.cfg.Log.Error("the file system of meta_dir has no room for the next file of the metadata log: commits are refused", "dir", l.cfg.Dir, "need", l.room.need)
	}
	l.giveWay()
}

// giveWay has another FE lead, if there is one and no room here.
func (l *Log) giveWay() {
	if !l.room.scarce.Load() || !l.IsLeader() || !l.HasPeers() {
		return
	}
	now := time.Now()
	if asked := l.room.asked.Load(); asked != nil && now.Sub(*asked) < giveWayEvery {
		return
	}
	l.room.asked.Store(&now)
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Timings.Election)
	defer cancel()
	if err := l.TransferLeadership(ctx, ""); err != nil {
		l.cfg.Log.Warn("hand leadership over for want of room", "err", err)
	}
}
