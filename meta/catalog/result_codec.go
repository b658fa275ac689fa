package catalog

import (
	"errors"
	"fmt"

	"stele/meta/command/canon"
	"stele/meta/types"
)

// wireResult carries a result or an error of a command from the FE that leads to the FE that asked. One field is set;
// none = a nil result.
type wireResult struct {
	ID      *IDResult     `cbor:"1,keyasint,omitempty"`
	Alloc   *AllocResult  `cbor:"2,keyasint,omitempty"`
	Commit  *CommitResult `cbor:"3,keyasint,omitempty"`
	Abort   *AbortResult  `cbor:"4,keyasint,omitempty"`
	Expire  *ExpireResult `cbor:"5,keyasint,omitempty"`
	Drop    *DropResult   `cbor:"6,keyasint,omitempty"`
	Epoch   *EpochResult  `cbor:"7,keyasint,omitempty"`
	Leaders *wireLeaders  `cbor:"8,keyasint,omitempty"`
	Report  *ReportResult `cbor:"9,keyasint,omitempty"`
	Count   *CountResult  `cbor:"10,keyasint,omitempty"`
	Err     *wireError    `cbor:"11,keyasint,omitempty"`
}

type wireLeaders struct {
	Epochs []types.Epoch `cbor:"1,keyasint"`
	Errs   []wireError   `cbor:"2,keyasint"`
}

type wireError struct {
	NotFound  *ErrNotFound      `cbor:"1,keyasint,omitempty"`
	Exists    *ErrExists        `cbor:"2,keyasint,omitempty"`
	Epoch     *ErrStaleEpoch    `cbor:"3,keyasint,omitempty"`
	Quorum    *ErrQuorum        `cbor:"4,keyasint,omitempty"`
	Aborted   *ErrTxnAborted    `cbor:"5,keyasint,omitempty"`
	LastCopy  *ErrLastCopy      `cbor:"6,keyasint,omitempty"`
	NotReady  *ErrNotReady      `cbor:"7,keyasint,omitempty"`
	Schema    *ErrSchemaChanged `cbor:"8,keyasint,omitempty"`
	Refused   *ErrRefused       `cbor:"9,keyasint,omitempty"`
	Restoring *ErrRestoring     `cbor:"10,keyasint,omitempty"`
	Older     *ErrOlder         `cbor:"11,keyasint,omitempty"`
	Locked    *ErrLocked        `cbor:"12,keyasint,omitempty"`
	Unlocked  *ErrUnlocked      `cbor:"13,keyasint,omitempty"`
}

func toWire(err error) (w wireError) {
	switch {
	case err == nil, errors.As(err, &w.NotFound), errors.As(err, &w.Exists), errors.As(err, &w.Epoch),
		errors.As(err, &w.Quorum), errors.As(err, &w.Aborted), errors.As(err, &w.LastCopy),
		errors.As(err, &w.NotReady), errors.As(err, &w.Schema), errors.As(err, &w.Refused), errors.As(err, &w.Restoring),
		errors.As(err, &w.Older), errors.As(err, &w.Locked), errors.As(err, &w.Unlocked):
	default:
		w.Refused = &ErrRefused{Why: err.Error()}
	}
	return w
}

func (w *wireError) err() error {
	switch {
	case w.NotFound != nil:
		return w.NotFound
	case w.Exists != nil:
		return w.Exists
	case w.Epoch != nil:
		return w.Epoch
	case w.Quorum != nil:
		return w.Quorum
	case w.Aborted != nil:
		return w.Aborted
	case w.LastCopy != nil:
		return w.LastCopy
	case w.NotReady != nil:
		return w.NotReady
	case w.Schema != nil:
		return w.Schema
	case w.Refused != nil:
		return w.Refused
	case w.Restoring != nil:
		return w.Restoring
	case w.Older != nil:
		return w.Older
	case w.Locked != nil:
		return w.Locked
	case w.Unlocked != nil:
		return w.Unlocked
	}
	return nil
}

// EncodeResults returns the results of commands in a form that DecodeResults reads, types and errors kept, for the
// FE that forwards commands to the leader.
func EncodeResults(rs []Result) ([]byte, error) {
	ws := make([]wireResult, len(rs))
	for i, r := range rs {
		if err := ws[i].set(r); err != nil {
			return nil, err
		}
	}
	return canon.Enc.Marshal(ws)
}

func (w *wireResult) set(r Result) error {
	if r.Err != nil {
		e := toWire(r.Err)
		w.Err = &e
		return nil
	}
	switch v := r.Value.(type) {
	case nil:
	case IDResult:
		w.ID = &v
	case AllocResult:
		w.Alloc = &v
	case CommitResult:
		w.Commit = &v
	case AbortResult:
		w.Abort = &v
	case ExpireResult:
		w.Expire = &v
	case DropResult:
		w.Drop = &v
	case EpochResult:
		w.Epoch = &v
	case LeadersResult:
		w.Leaders = &wireLeaders{Epochs: v.Epochs, Errs: make([]wireError, len(v.Errs))}
		for i, err := range v.Errs {
			w.Leaders.Errs[i] = toWire(err)
		}
	case ReportResult:
		w.Report = &v
	case CountResult:
		w.Count = &v
	default:
		return fmt.Errorf("encode result: type %T is not known", r.Value)
	}
	return nil
}

// DecodeResults reads what EncodeResults wrote.
func DecodeResults(b []byte) ([]Result, error) {
	var ws []wireResult
	if err := canon.Dec.Unmarshal(b, &ws); err != nil {
		return nil, fmt.Errorf("decode results: %w", err)
	}
	rs := make([]Result, len(ws))
	for i := range ws {
		rs[i] = ws[i].get()
	}
	return rs, nil
}

func (w *wireResult) get() Result {
	switch {
	case w.Err != nil:
		return Result{Err: w.Err.err()}
	case w.ID != nil:
		return Result{Value: *w.ID}
	case w.Alloc != nil:
		return Result{Value: *w.Alloc}
	case w.Commit != nil:
		return Result{Value: *w.Commit}
	case w.Abort != nil:
		return Result{Value: *w.Abort}
	case w.Expire != nil:
		return Result{Value: *w.Expire}
	case w.Drop != nil:
		return Result{Value: *w.Drop}
	case w.Epoch != nil:
		return Result{Value: *w.Epoch}
	case w.Leaders != nil:
		res := LeadersResult{Epochs: w.Leaders.Epochs, Errs: make([]error, len(w.Leaders.Errs))}
		for i := range w.Leaders.Errs {
			res.Errs[i] = w.Leaders.Errs[i].err()
		}
		return Result{Value: res}
	case w.Report != nil:
		return Result{Value: *w.Report}
	case w.Count != nil:
		return Result{Value: *w.Count}
	}
	return Result{}
}
