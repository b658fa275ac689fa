package physical

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/meta/types"
	"stele/sql/expr"
)

// Change is what the leader of a tablet does with one row that a statement names by its primary key: an UPDATE, or a DELETE,
// of the row if it is there and passes Filter; or an INSERT … ON DUPLICATE KEY UPDATE, which puts a row where none is.
// Expressions refer to Columns as they were before, then to the values that come with each call.
type Change struct {
	// Columns are all columns of the table, in order; a leader whose replica has others does not do it.
	Columns []types.ColumnID `cbor:"1,keyasint"`
	// Values are the types of what comes with each call. Those of an Insert are a row of the table.
	Values []types.ColumnType `cbor:"2,keyasint,omitempty"`
	Filter *expr.Node         `cbor:"3,keyasint,omitempty"`
	Delete bool               `cbor:"4,keyasint,omitempty"`
	Insert bool               `cbor:"5,keyasint,omitempty"`
	Assign []Assignment       `cbor:"6,keyasint,omitempty"`
	// Strict refuses values that do not fit: who sent the change then does it otherwise, and warns. Only FEs of older versions have
	// them bent.
	Strict   bool   `cbor:"8,keyasint,omitempty"`
	TimeZone string `cbor:"9,keyasint,omitempty"` // the session's ("" = UTC)
	// ZeroDates: the zero date is a date like another (sql_mode without NO_ZERO_DATE).
	ZeroDates bool `cbor:"11,keyasint,omitempty"`
	// Lasting: it comes again and again with other values, and means the same at any time.
	Lasting bool `cbor:"10,keyasint,omitempty"`
}

// Assignment sets a column.
type Assignment struct {
	Column int        `cbor:"1,keyasint"` // position in the table
	Value  *expr.Node `cbor:"2,keyasint"`
	// To is what the value is converted to: the column as the catalog has it now, without name and default.
	To types.Column `cbor:"4,keyasint"`
	// Auto is ON UPDATE CURRENT_TIMESTAMP: it is no change by itself.
	Auto bool `cbor:"3,keyasint,omitempty"`
}

// EncodeChange gives a change the form in which it travels to BEs.
func EncodeChange(c *Change) ([]byte, error) {
	b, err := cbor.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode change: %w", err)
	}
	return b, nil
}

// DecodeChange reads what EncodeChange wrote.
func DecodeChange(b []byte) (*Change, error) {
	var c Change
	if err := fragmentCodec.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("decode change: %w", err)
	}
	for _, a := range c.Assign {
		if a.Column < 0 || a.Column >= len(c.Columns) || a.Value == nil {
			return nil, fmt.Errorf("decode change: an assignment to column %d of %d", a.Column, len(c.Columns))
		}
	}
	if c.Insert && len(c.Values) != len(c.Columns) {
		return nil, fmt.Errorf("decode change: an insert of %d values into %d columns", len(c.Values), len(c.Columns))
	}
	return &c, nil
}
