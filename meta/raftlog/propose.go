package raftlog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"stele/meta/catalog"
	"stele/meta/command"
)

// Bounds of the proposal pipeline. A few entries in flight hide the latency of one; more would only keep proposals
// from sharing an entry.
const (
	maxQueued      = 1024
	maxInflight    = 4
	maxShared      = 512     // commands that share an entry
	maxSharedBytes = 1 << 20 // and their size
	enqueueTimeout = 10 * time.Second
)

// proposal is one call of Propose.
type proposal struct {
	encoded [][]byte
	cmds    []command.Command // that were encoded; nil = another FE has done it
	size    int
	tag     Tag
	done    chan outcome // of capacity 1: nobody waits for a caller who has left
}

// proposals are those whose callers have taken the outcome: nobody else looks at them any more.
var proposals = sync.Pool{New: func() any { return &proposal{done: make(chan outcome, 1)} }}

func (p *proposal) free() {
	clear(p.encoded)
	*p = proposal{encoded: p.encoded[:0], done: p.done}
	proposals.Put(p)
}

type outcome struct {
	results []catalog.Result
	err     error
}

// Propose puts commands into the log, in order and in one entry, and returns what each came to once they are applied
// here. Concurrent calls share entries. A command that the catalog refuses has its error in its Result and does not
// stop the others.
//
// *ErrNotLeader, ErrBusy and ErrNoRoom mean that nothing was proposed. ErrOutcomeUnknown, which an end of ctx may come with, means that the
// commands may be applied or not: propose again only what may be applied twice, as CommitTxn may.
//
// Commands are applied as they are given, without being decoded first where that is the same (see flights.command): nobody changes
// them any more, whatever Propose has returned.
func (l *Log) Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	return l.ProposeTagged(ctx, Tag{}, cmds...)
}

// ProposeTagged is Propose with a tag by which the FE that made it finds the proposal in the log.
func (l *Log) ProposeTagged(ctx context.Context, tag Tag, cmds ...command.Command) ([]catalog.Result, error) {
	if !l.IsLeader() {
		return nil, l.notLeaderOrClosed()
	}
	p := proposals.Get().(*proposal)
	p.cmds, p.tag = cmds, tag
	for i, c := range cmds {
		if c.Type() == command.TypeBatch {
			return nil, fmt.Errorf("propose: command %d is a batch", i)
		}
		if !l.room.takes(c) {
			return nil, ErrNoRoom
		}
		e, err := command.Encode(c)
		if err != nil {
			return nil, err
		}
		p.encoded = append(p.encoded, e)
	}
	return l.submit(ctx, p)
}

// ProposeOne proposes one command and returns its result; a refusal is its error.
func (l *Log) ProposeOne(ctx context.Context, cmd command.Command) (any, error) {
	rs, err := l.Propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return rs[0].Value, rs[0].Err
}

// ProposeEncoded is ProposeTagged for commands that another FE has encoded and forwarded. They must not be batches.
func (l *Log) ProposeEncoded(ctx context.Context, tag Tag, encoded [][]byte) ([]catalog.Result, error) {
	for i, e := range encoded {
		c, err := command.Decode(e) // what this FE cannot read it must not put into the log
		if err != nil {
			return nil, fmt.Errorf("propose: %w", err)
		}
		if c.Type() == command.TypeBatch {
			return nil, fmt.Errorf("propose: command %d is a batch", i)
		}
		if !l.room.takes(c) {
			return nil, ErrNoRoom
		}
	}
	p := proposals.Get().(*proposal)
	p.encoded, p.tag = append(p.encoded, encoded...), tag
	return l.submit(ctx, p)
}

// submit queues one proposal and waits for what it comes to.
func (l *Log) submit(ctx context.Context, p *proposal) ([]catalog.Result, error) {
	if len(p.encoded) == 0 {
		return nil, nil
	}
	if len(p.encoded) > command.MaxBatchCommands {
		return nil, fmt.Errorf("propose: %d commands exceed the limit of %d", len(p.encoded), command.MaxBatchCommands)
	}
	for _, e := range p.encoded {
		p.size += len(e)
	}
	if !l.IsLeader() || !p.tag.isZero() && l.ready.Load() > p.tag.Until {
		return nil, l.notLeaderOrClosed()
	}
	if !l.goesAlone(p) {
		select {
		case l.proposals <- p:
			l.company.joined(l.waiting())
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.closing:
			return nil, ErrClosed
		}
	}
	select {
	case o := <-p.done:
		p.free()
		return o.results, o.err
	case <-ctx.Done():
		return nil, unknown(ctx.Err())
	case <-l.closing:
		return nil, ErrOutcomeUnknown
	}
}

// goesAlone launches a proposal at once when there is none whose company it could wait for: then it takes no goroutine.
func (l *Log) goesAlone(p *proposal) bool {
	if len(l.proposals) > 0 || l.flights.storing.Load() || l.company.pays(1) || !l.launching.TryLock() {
		return false
	}
	defer l.launching.Unlock()
	select {
	case l.flights.slots <- struct{}{}:
	default:
		return false
	}
	l.launch([]*proposal{p})
	return true
}

func (l *Log) notLeaderOrClosed() error {
	select {
	case <-l.closing:
		return ErrClosed
	default:
	}
	if err := l.fsm.failure(); err != nil {
		return err
	}
	return l.notLeader()
}

// propose turns waiting proposals into entries.
func (l *Log) propose() {
	defer l.wg.Done()
	var next *proposal // taken from the queue, but too big for the entry before
	for {
		first := next
		if first == nil {
			select {
			case first = <-l.proposals:
			case <-l.closing:
				return
			}
		}
		if !l.awaitTurn() || !l.awaitCompany() {
			return
		}
		var shared []*proposal
		shared, next = l.gather(first)
		l.launching.Lock()
		l.launch(shared)
		l.launching.Unlock()
	}
}

// awaitTurn waits until Raft is done with the entry before, so that all who come meanwhile share the next one, and until there is a
// slot for it. It is false when the log closes.
func (l *Log) awaitTurn() bool {
	for l.flights.storing.Load() {
		select {
		case <-l.flights.stored:
		case <-l.closing:
			return false
		}
	}
	select {
	case l.flights.slots <- struct{}{}:
		return true
	case <-l.closing:
		return false
	}
}

// waiting is how many proposals the next entry has, if it leaves now: those in the queue, and the one that was taken from it.
func (l *Log) waiting() int { return len(l.proposals) + 1 }

// gather takes what waits and fits into an entry with the first proposal, and what was taken but does not fit.
func (l *Log) gather(first *proposal) (shared []*proposal, next *proposal) {
	shared = append(make([]*proposal, 0, 1+len(l.proposals)), first)
	commands, size := len(first.encoded), first.size
	for commands < maxShared && size < maxSharedBytes {
		select {
		case p := <-l.proposals:
			if commands+len(p.encoded) > command.MaxBatchCommands || size+p.size > command.MaxEncodedSize/2 {
				return shared, p
			}
			shared = append(shared, p)
			commands, size = commands+len(p.encoded), size+p.size
		default:
			return shared, nil
		}
	}
	return shared, nil
}

// launch hands one entry to Raft. Called with launching held and with a slot, which goes back when the entry has ended. Should
// the log close meanwhile, nobody knows what became of it.
func (l *Log) launch(shared []*proposal) {
	all := make([][]byte, 0, len(shared))
	for _, p := range shared {
		all = append(all, p.encoded...)
	}
	data, err := command.EncodeBatch(all)
	if err != nil {
		for _, p := range shared {
			p.done <- outcome{err: err}
		}
		<-l.flights.slots
		return
	}
	l.company.gone(len(shared))
	one := l.flights.begin(data, shared, l.alone())
	l.flights.launched(one, l.raft.ApplyLog(raft.Log{Data: data, Extensions: tagsOf(shared)}, enqueueTimeout))
}
