// Package canon is the CBOR of the metadata: what the log and its snapshots are written in. It is written deterministically, so that
// every FE makes the same bytes of the same state, and read strictly: to pass over a field that a newer FE acts on would be to
// drift away from it.
//
// It holds two modes and no state. Messages between nodes have their own rules.
package canon

import "github.com/fxamacker/cbor/v2"

// Enc writes.
var Enc = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("BUG: cbor encoding options: " + err.Error())
	}
	return m
}()

// Dec reads, and fails on a field that it does not know.
var Dec = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength:       cbor.IndefLengthForbidden,
		MaxArrayElements:  1 << 24,
		MaxNestedLevels:   16,
	}.DecMode()
	if err != nil {
		panic("BUG: cbor decoding options: " + err.Error())
	}
	return m
}()
