package raftlog

import (
	"errors"
	"fmt"
)

// ErrNotLeader says that this FE does not lead; nothing was proposed.
type ErrNotLeader struct {
	LeaderID   string // FE.Name of the leader, "" = none known
	LeaderAddr string // its Raft address
}

func (e *ErrNotLeader) Error() string {
	if e.LeaderID == "" {
		return "this frontend is not the leader and knows of none"
	}
	return fmt.Sprintf("this frontend is not the leader, %s at %s is", e.LeaderID, e.LeaderAddr)
}

var (
	// ErrOutcomeUnknown says that leadership was lost while a proposal was on its way: it may be applied or not.
	ErrOutcomeUnknown = errors.New("leadership was lost while the change was on its way: it may or may not be in effect")
	// errTooLate says that an entry was not stored because its proposer has given it up by now.
	errTooLate = errors.New("the leader has lost and won its place since this was proposed")
	// ErrClosed says that the log is closed.
	ErrClosed = errors.New("the metadata log is closed")
	// ErrDropped says that this FE was dropped from the cluster: the log takes nothing from it any more.
	ErrDropped = errors.New("this frontend was dropped from the cluster")
	// ErrBusy says that the log took no proposal in time; nothing was proposed.
	ErrBusy = errors.New("the metadata log is overloaded")
	// ErrNoRoom says that the file system under the leader's log is full: it takes no commits now, and nothing was proposed.
	ErrNoRoom = errors.New("the file system of meta_dir has no room for the metadata log")
	// ErrWrongCluster is wrapped when an identity or a peer belongs to another cluster.
	ErrWrongCluster = errors.New("belongs to another cluster")
	// ErrSnapshotUnusable is wrapped by Open when the newest snapshot cannot be read.
	ErrSnapshotUnusable = errors.New("the newest metadata snapshot cannot be read")
	// ErrNotStored is wrapped by Failure when an entry could not be stored. What of it is on disk is found out when the log is opened again.
	ErrNotStored = errors.New("the metadata log cannot be written; start this frontend again when its disk works and has room")
	// ErrLogUnusable is wrapped by Open and Failure when an entry of the log is damaged or missing.
	ErrLogUnusable = errors.New("the metadata log cannot be read")
)

// unknown says why it is not known what becomes of an entry that was handed to Raft.
func unknown(err error) error { return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err) }
