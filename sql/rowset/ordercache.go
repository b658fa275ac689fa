package rowset

import (
	"fmt"

	"stele/meta/types"
	"stele/sql/vec"
)

// Orders of row groups are kept as blocks are, in a cache of their own. They are made by who asks for one again, and that takes
// milliseconds: so once the cache has been full, one must be paid for by finding those that are there. Else orders that are more than the
// cache holds would be made for every query, and be gone before the next.
const (
	// orderPrice is how often orders must have been found before one is made in a cache that has been full.
	orderPrice = 256
	orderAt    = -1 << 20 // as blockKey.at
)

func orderKey(id GroupID, by OrderBy) blockKey {
	return blockKey{group: id, c: int32(by.Column), at: orderAt - int32(by.By)}
}

// Order returns the order of a row group, nil when there is none.
func (c *BlockCache) Order(id GroupID, by OrderBy) *Order {
	if c == nil {
		return nil
	}
	b := c.get(orderKey(id, by))
	if b == nil || !b.order.Suits(by.Type) {
		return nil
	}
	c.mu.Lock()
	c.earned = min(c.earned+1, orderPrice)
	c.mu.Unlock()
	return b.order
}

// Suits reports whether values of type t are in the form of the order's.
func (o *Order) Suits(t types.ColumnType) bool { return o.phys == t.Phys() && o.unsigned == t.Unsigned }

// WantsOrder reports whether an order that is missing is to be made, as it was asked for before. Who hears so calls MakeOrder; until that
// is done nobody else does.
func (c *BlockCache) WantsOrder(id GroupID, by OrderBy) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := orderKey(id, by)
	if c.making[k] || !c.askedBefore(k, 0) {
		return false
	}
	if c.turned {
		if c.earned < orderPrice {
			return false
		}
		c.earned = 0
	}
	if c.making == nil {
		c.making = map[blockKey]bool{}
	}
	c.making[k] = true
	return true
}

// made ends the making of an order.
func (c *BlockCache) made(k blockKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.making, k)
}

// MakeOrder makes an order of the row group, in which the column is at a place, and keeps it.
func (c *BlockCache) MakeOrder(g *Group, at int, by OrderBy) (*Order, error) {
	defer c.made(orderKey(g.h.id, by))
	vs := make([]*vec.Vector, g.Vectors())
	for i := range vs {
		v, err := g.Decode(at, i)
		if err != nil {
			return nil, err
		}
		if v.Type.Phys() != by.Type.Phys() {
			return nil, fmt.Errorf("column %d is stored in another form: %w", by.Column, ErrCorrupt)
		}
		v.Type, vs[i] = by.Type, CollationKeys(by.By, v)
	}
	o := NewOrder(by.Type, vs, 0)
	c.put(orderKey(g.h.id, by), &block{order: o})
	return o, nil
}

// DropOrders forgets the orders of a rowset.
func (c *BlockCache) DropOrders(uid, rowset uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, b := range c.young {
		if k.group.UID == uid && k.group.Rowset == rowset {
			c.bytes -= b.size()
			delete(c.young, k)
		}
	}
	for k, b := range c.old {
		if k.group.UID == uid && k.group.Rowset == rowset {
			c.oldBytes -= b.size()
			delete(c.old, k)
		}
	}
}

// Used returns how many bytes are in the cache, and how many there may be.
func (c *BlockCache) Used() (bytes, limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.bytes + c.oldBytes), 2 * int64(c.limit)
}
