package physical

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/sql/expr"
)

// Bounds of a fragment that a BE accepts.
const maxFragmentElements = 1 << 20 // keys of one scan, constants of one IN

var fragmentCodec = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: expr.NestedLevels, MaxArrayElements: maxFragmentElements}.DecMode()
	if err != nil {
		panic("BUG: fragment codec: " + err.Error())
	}
	return m
}()

// EncodeFragment gives a fragment the form in which it travels to BEs.
func EncodeFragment(f *Fragment) ([]byte, error) {
	b, err := cbor.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode fragment: %w", err)
	}
	return b, nil
}

// DecodeFragment reads what EncodeFragment wrote; expressions may nest as deeply as the planner makes them.
func DecodeFragment(b []byte) (*Fragment, error) {
	var f Fragment
	if err := fragmentCodec.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("decode fragment: %w", err)
	}
	return &f, nil
}
