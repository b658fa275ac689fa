package types

import (
	"fmt"
	"time"
	_ "time/tzdata" // named zones work on machines without a zone database

	"stele/sql/errno"
)

// LoadLocation returns a time zone by MySQL's names: an offset "+08:00", a name of the zone database, or SYSTEM, which
// is the given zone.
func LoadLocation(name string, system *time.Location) (*time.Location, error) {
	if name == "SYSTEM" || name == "system" {
		if system == nil {
			return time.UTC, nil
		}
		return system, nil
	}
	if off, ok := ParseOffset([]byte(name)); ok {
		if off == 0 {
			return time.UTC, nil
		}
		return time.FixedZone(name, int(off)), nil
	}
	if name == "" || name == "Local" {
		return nil, Errorf(errno.UnknownTimeZone, "Unknown or incorrect time zone: '%s'", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("load time zone: %w", Errorf(errno.UnknownTimeZone, "Unknown or incorrect time zone: '%.64s'", name))
	}
	return loc, nil
}
