package process

import "time"

// Steady returns a clock that shows the time of the machine's as it is now, and from then on what has gone by since, whatever is done to the
// machine's. It is for who notes times as numbers and compares them later.
func Steady() func() time.Time { return steady(time.Now) }

func steady(now func() time.Time) func() time.Time {
	began := now()
	return func() time.Time { return began.Add(now().Sub(began)) }
}
