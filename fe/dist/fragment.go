package dist

import (
	"sync"

	"stele/sql/physical"
)

// fragment is that of a scan. A BE in this process takes it as it is; it is encoded when the first of others is asked.
type fragment struct {
	of      physical.Fragment // nobody changes what lies below it any more
	once    sync.Once
	encoded []byte
}

// Encoded returns the form in which it travels.
func (f *fragment) Encoded() []byte {
	f.once.Do(func() {
		var err error
		if f.encoded, err = physical.EncodeFragment(&f.of); err != nil {
			panic("BUG: " + err.Error())
		}
	})
	return f.encoded
}

// Decoded returns the fragment itself.
func (f *fragment) Decoded() *physical.Fragment { return &f.of }
