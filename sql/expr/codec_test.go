package expr_test

import (
	"github.com/fxamacker/cbor/v2"

	"stele/sql/expr"
)

// encode serialises an expression as fragments hold it.
func encode(n *expr.Node) ([]byte, error) { return cbor.Marshal(n) }

// decode reads what encode wrote and compiles it, as a BE does with the expressions of a fragment.
func decode(b []byte) (*expr.Node, error) {
	mode, err := cbor.DecOptions{MaxNestedLevels: expr.NestedLevels}.DecMode()
	if err != nil {
		return nil, err
	}
	n := &expr.Node{}
	if err := mode.Unmarshal(b, n); err != nil {
		return nil, err
	}
	_, err = expr.Compile(n, expr.Context{})
	return n, err
}
