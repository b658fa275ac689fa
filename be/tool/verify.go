package tool

import (
	"context"
	"errors"
	"fmt"

	"stele/be/tablet"
)

// verify checks everything and lists what is damaged.
func verify(i *invocation) (code int, err error) {
	s, err := i.open()
	if err != nil {
		return exitDamage, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	damage, err := i.check(s)
	if err != nil {
		return exitDamage, err
	}
	if len(damage) > 0 {
		fmt.Fprintf(i.out, "%d damaged\n", len(damage))
		return exitDamage, nil
	}
	fmt.Fprintf(i.out, "ok: %d replicas\n", s.TabletCount())
	return exitOK, nil
}

// check prints a line for each replica and for each damage, and returns the damage. It ends early only with its context.
func (i *invocation) check(s *tablet.Store) ([]tablet.Damage, error) {
	damage := s.VerifyDisk()
	for _, d := range damage {
		i.tell(d)
	}
	for _, t := range s.Tablets() {
		if err := i.ctx.Err(); err != nil {
			return damage, context.Cause(i.ctx)
		}
		c, d := s.VerifyTablet(i.ctx, t)
		if d == nil {
			fmt.Fprintf(i.out, "tablet %d: ok at version %d, %d rows, digest %016x, %d bytes read\n", t.ID(), c.Version, c.Rows, c.Digest, c.Bytes)
			continue
		}
		i.tell(*d)
		damage = append(damage, *d)
	}
	return damage, nil
}

func (i *invocation) tell(d tablet.Damage) {
	if d.Tablet == 0 {
		fmt.Fprintf(i.out, "DAMAGED %s: %v\n", d.What, d.Err)
		return
	}
	fmt.Fprintf(i.out, "DAMAGED tablet %d: %s: %v\n", d.Tablet, d.What, d.Err)
}
