package physical

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/sql/expr"
)

// Bounds of a fragment that a BE accepts.
const maxFragmentElements = 1 << 20 // keys of one scan, constants of one IN

var fragmentCodec = codec(expr.NestedLevels)

// codec reads what nests so deeply.
func codec(levels int) cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: levels, MaxArrayElements: maxFragmentElements}.DecMode()
	if err != nil {
		panic("BUG: codec of fragments and plans: " + err.Error())
	}
	return m
}

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

// maxPlanLevels is how deeply operators may nest in a plan that travels; each takes a map and an array.
const maxPlanLevels = 4096

var planCodec = codec(expr.NestedLevels + maxPlanLevels)

// EncodePlan gives a plan the form in which it travels to query nodes of the same version: unlike a fragment it is never
// read by another one.
func EncodePlan(n *Node) ([]byte, error) {
	b, err := cbor.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return b, nil
}

// DecodePlan reads what EncodePlan wrote.
func DecodePlan(b []byte) (*Node, error) {
	var n Node
	if err := planCodec.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	return &n, nil
}
