package stmt

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/sql/vec"
)

// A Result travels from the leading FE to the one that has the session: a head without rows, then batches of rows.

// wireHead is a Result without its rows. The keys travel between versions: append, never renumber.
type wireHead struct {
	Columns  []Column `cbor:"1,keyasint,omitempty"`
	Filter   Filter   `cbor:"2,keyasint,omitempty"`
	Affected uint64   `cbor:"3,keyasint,omitempty"`
	Info     string   `cbor:"4,keyasint,omitempty"`
	Index    uint64   `cbor:"5,keyasint,omitempty"` // log index at which the effects are applied
	Notes    []string `cbor:"6,keyasint,omitempty"`
}

// EncodeHead returns everything of a Result but its rows; index is where its effects are applied.
func EncodeHead(r Result, index uint64) ([]byte, error) {
	b, err := cbor.Marshal(wireHead{Columns: r.Columns, Filter: r.Filter, Affected: r.Affected, Info: r.Info, Index: index, Notes: r.Notes})
	if err != nil {
		return nil, fmt.Errorf("encode the result of a statement: %w", err)
	}
	return b, nil
}

// DecodeHead reads what EncodeHead wrote.
func DecodeHead(b []byte) (r Result, index uint64, err error) {
	var w wireHead
	if err := cbor.Unmarshal(b, &w); err != nil {
		return r, 0, fmt.Errorf("decode the result of a statement: %w", err)
	}
	return Result{Columns: w.Columns, Filter: w.Filter, Affected: w.Affected, Info: w.Info, Notes: w.Notes}, w.Index, nil
}

// Vectors returns the rows of a Result as batches.
func (r *Result) Vectors() []*vec.Batch {
	if r.Batches != nil {
		return r.Batches
	}
	return Batches(r.Columns, r.Rows)
}

// IsLocal reports whether a statement is answered by the FE that has the session, whichever leads.
func IsLocal(id string) bool { return declaration(id).Local }

// IsAlone reports whether a statement is answered by the FE that has the session while no FE leads.
func IsAlone(id string) bool { return declaration(id).Alone }

// Reads reports whether a statement only reads, so that it may be run again when the leader changed under it.
func Reads(id string) bool { return declaration(id).Rows != nil }

func declaration(id string) *Statement {
	for _, s := range registry.statements {
		if s.Name == id {
			return s
		}
	}
	return &Statement{}
}
