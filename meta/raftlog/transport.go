package raftlog

import (
	"sync"

	"github.com/hashicorp/raft"
)

// transport is the library's but for one fault: when a follower refuses a pipelined message, or its connection breaks,
// the library's reader of answers ends while the sender may wait for it for ever. The leader would then send nothing to
// that follower any more for as long as it leads, and could not stop. It also has the witness hear of answers.
type transport struct {
	*raft.NetworkTransport
	witness *witness
}

// AppendEntries sends a message that is no part of a pipeline: a heartbeat, as a rule.
func (t transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := t.witness.now()
	err := t.NetworkTransport.AppendEntries(id, target, args, resp)
	if err == nil && resp.Success && resp.Term == args.Term {
		t.witness.take(id, args.Term, sent)
	}
	return err
}

// AppendEntriesPipeline opens a pipeline that ends with the first answer that is not a yes.
func (t transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return newPipeline(p), nil
}

// pipeline stands between the library's pipeline and its user.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	closed  chan struct{}
	once    sync.Once
}

func newPipeline(inner raft.AppendPipeline) *pipeline {
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), closed: make(chan struct{})}
	go p.pass() // ends with Close
	return p
}

// Consumer returns the answers in the order of the messages.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the pipeline; what is still to be answered is forgotten.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.AppendPipeline.Close()
}

// pass hands answers on. Behind one that is not a yes nobody listens any more: the pipeline is closed, so that whoever
// is about to send learns of it.
func (p *pipeline) pass() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			select {
			case p.answers <- f:
			case <-p.closed:
				return
			}
			if resp := f.Response(); !resp.Success || resp.Term > f.Request().Term {
				_ = p.Close() // its user closes it as well
				return
			}
		case <-p.closed:
			return
		}
	}
}
