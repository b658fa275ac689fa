package sched

import "stele/meta/types"

// slotKey names the slots of one kind on one disk. A disk that is not known yet is disk 0 of its BE.
type slotKey struct {
	be      types.BEID
	disk    types.DiskID
	balance bool
}

// slotUse counts the clones of one kind on one disk.
type slotUse struct{ in, out int }

// slotTable counts the slots that running clones hold (S2).
type slotTable struct {
	size map[bool]int
	used map[slotKey]slotUse
}

func newSlotTable(l Limits) slotTable {
	return slotTable{size: map[bool]int{false: l.RepairSlots, true: l.BalanceSlots}, used: map[slotKey]slotUse{}}
}

func (t slotTable) taken(be types.BEID, disk types.DiskID, balance bool) int {
	u := t.used[slotKey{be, disk, balance}]
	return u.in + u.out
}

func (t slotTable) free(be types.BEID, disk types.DiskID, balance bool) bool {
	return t.taken(be, disk, balance) < t.size[balance]
}

// smallClone is up to how many bytes a clone costs its two disks less than its two BEs' attention.
const smallClone = 16 << 20

// mayTake reports whether a clone of so many bytes may begin at one end: there is a slot, and the disk has something to
// do in the other direction as well. A disk reads and writes at once but does two of a kind no faster than one after the
// other; without the second rule the slots of half the disks would be taken by clones in one direction.
func (t slotTable) mayTake(be types.BEID, disk types.DiskID, balance bool, bytes int64, receives bool) bool {
	u, size := t.used[slotKey{be, disk, balance}], t.size[balance]
	if u.in+u.out >= size {
		return false
	}
	n := u.out
	if receives {
		n = u.in
	}
	return bytes <= smallClone || n < (size+1)/2
}

func (t slotTable) busy(be types.BEID, disk types.DiskID) int {
	return t.taken(be, disk, false) + t.taken(be, disk, true)
}

// in counts the clones of any kind that a disk receives.
func (t slotTable) in(be types.BEID, disk types.DiskID) int {
	return t.used[slotKey{be, disk, false}].in + t.used[slotKey{be, disk, true}].in
}

// out counts the clones of any kind that a disk sends.
func (t slotTable) out(be types.BEID, disk types.DiskID) int {
	return t.used[slotKey{be, disk, false}].out + t.used[slotKey{be, disk, true}].out
}

func (t slotTable) take(task *Task) { t.add(task, 1) }

func (t slotTable) add(task *Task, n int) {
	if task.SrcBE != 0 {
		k := slotKey{task.SrcBE, task.SrcDisk, task.balance}
		u := t.used[k]
		u.out += n
		t.used[k] = u
	}
	k := slotKey{task.DestBE, task.DestDisk, task.balance}
	u := t.used[k]
	u.in += n
	t.used[k] = u
}

// SlotUse is how the slots of one disk are used.
type SlotUse struct {
	BE           types.BEID
	Disk         types.DiskID
	RepairUsed   int
	BalanceUsed  int
	RepairTotal  int
	BalanceTotal int
	Rate         int64 // bytes per second of the clones in the history that the disk took part in, 0 = none
}

// Slots returns the use of the slots of all disks of a view, by BE and then in the order of the disks.
func (s *Scheduler) Slots(v *View, l Limits) []SlotUse {
	l = l.withFloor()
	table := newSlotTable(l)
	for _, t := range s.running {
		table.take(t)
	}
	bytes, ms := map[slotKey]int64{}, map[slotKey]int64{}
	for i := range s.history.rows {
		t := &s.history.rows[i]
		for _, k := range [...]slotKey{{be: t.SrcBE, disk: t.SrcDisk}, {be: t.DestBE, disk: t.DestDisk}} {
			bytes[k] += t.Bytes
			ms[k] += t.ElapsedMs
		}
	}
	var out []SlotUse
	for i := range v.BEs {
		for _, d := range v.BEs[i].Disks {
			k := slotKey{be: v.BEs[i].ID, disk: d.ID}
			u := SlotUse{BE: k.be, Disk: k.disk, RepairUsed: table.taken(k.be, k.disk, false), BalanceUsed: table.taken(k.be, k.disk, true),
				RepairTotal: l.RepairSlots, BalanceTotal: l.BalanceSlots}
			if ms[k] > 0 {
				u.Rate = bytes[k] * 1000 / ms[k]
			}
			out = append(out, u)
		}
	}
	return out
}
