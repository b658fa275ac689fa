package fn

import (
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/keyset"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// AmongKeys is the function that a scan asks whether a join has given a value, where it has given too many for a list: its second
// argument is a set as package keyset encodes it. The answer may be a wrong yes, so only conditions that are checked again may use it.
const AmongKeys = "among_keys"

func init() {
	register(Def{Name: AmongKeys, Group: "comparison", Syntax: "AMONG_KEYS(x, set)", Min: 2, Max: 2, CanFail: true,
		Doc:  "Whether a number may be in a set of keys that a join has made; for the plans of joins.",
		Rule: amongKeysRule, Prepare: prepareAmongKeys, Row: amongKeysRow, Vec: amongKeysVec})
}

func amongKeysRule(_ string, a []T) ([]T, T, error) {
	if a[0].Phys() != types.PhysInt64 || a[1].Phys() != types.PhysBytes {
		return []T{tInt, tBin}, tBool, nil
	}
	return a, tBool, nil
}

func prepareAmongKeys(c *Call) error {
	if c.Const[1] == nil || c.Const[1].Null {
		return nil
	}
	s, err := readKeys(c.Const[1].B)
	if err == nil {
		c.State = s
	}
	return err
}

func readKeys(b []byte) (*keyset.Set, error) {
	s, err := keyset.Read(b)
	if err != nil {
		return nil, sqltypes.Errorf(errno.WrongArguments, "Incorrect arguments to %s: %v", AmongKeys, err)
	}
	return s, nil
}

// KeySet returns a set of integers that the first argument must be in for the call to be true, which a filter asks before the call itself;
// nil of any other call. It is worth its making when many rows ask.
func (c *Call) KeySet() *keyset.Set {
	switch s := c.State.(type) {
	case *keyset.Set:
		return s
	case *inSet:
		return s.keySet()
	}
	return nil
}

// HasKeySet reports whether KeySet may return one.
func (c *Call) HasKeySet() bool {
	switch s := c.State.(type) {
	case *keyset.Set:
		return true
	case *inSet:
		return len(s.ints) > 0
	}
	return false
}

// DecidedByKeySet reports whether the call is true of all that are in its set.
func (c *Call) DecidedByKeySet() bool { return c.Def.Name == AmongKeys || c.KeySet().Exact() }

func amongKeysRow(c *Call, a []vec.Value) (vec.Value, error) {
	s, ok := c.State.(*keyset.Set)
	if !ok {
		var err error
		if s, err = readKeys(a[1].B); err != nil {
			return vec.Value{}, err
		}
	}
	return vec.Bool(s.Has(a[0].I)), nil
}

func amongKeysVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	s, ok := c.State.(*keyset.Set)
	if !ok {
		return nil, nil
	}
	x, out := a[0], vec.New(c.Result, n)
	for i := range out.I64 {
		switch {
		case x.Null(i):
			out.SetNull(i)
		case s.Has(x.I64[x.At(i)]):
			out.I64[i] = 1
		}
	}
	return out, nil
}
