// Package memtable holds what was committed to a tablet and is not in a rowset yet: rows in memory, each with the version that put it
// and the version that ended it.
//
// A Table only grows. It finds the newest row of a key (its index), and from a row those that held the key before. A View is a Table at a
// moment: readers keep it without a lock, whatever is appended meanwhile. Who wants a few rows of many finds them by orders, of the key
// (Keys) or of another column (View.Order); readers make them, a Gauge bounds them, and they go with the Table.
//
// It stores nothing, and knows nothing of transactions or of rowsets. Its owner's lock guards a Table and makes a View; that lock is
// also held where a View's Find says so.
package memtable
