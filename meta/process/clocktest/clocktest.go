// Package clocktest lets tests see what becomes of times when the clock of the machine is set. It keeps nothing.
package clocktest

import (
	"time"
	"unsafe"
)

// Set is what time.Now would return in the place of t if the clock of the machine had been set by d meanwhile, whole seconds: the time that has gone
// by is the same. t is from time.Now.
func Set(t time.Time, d time.Duration) time.Time {
	const secondBit = 30 // of the first word of a Time that knows what has gone by
	set := t
	*(*uint64)(unsafe.Pointer(&set)) += uint64(d/time.Second) << secondBit
	if set.Sub(t) != 0 || set.Unix()-t.Unix() != int64(d/time.Second) {
		panic("BUG: a Time is not what it was")
	}
	return set
}
