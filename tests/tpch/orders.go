package tpch

import (
	"iter"
	"time"
)

// Day is a date as days since 1992-01-01, the first day of the data.
type Day int

var firstDay = time.Date(1992, 1, 1, 0, 0, 0, 0, time.UTC)

// Date returns the Day of a date.
func Date(year, month, day int) Day {
	return Day(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Sub(firstDay) / (24 * time.Hour))
}

// String returns the date as SQL writes it.
func (d Day) String() string { return firstDay.AddDate(0, 0, int(d)).Format(time.DateOnly) }

var (
	today     = Date(1995, 6, 17) // what is received by then has been accepted or returned
	lastOrder = Date(1998, 8, 2)  // the last order leaves time for its lines to be received in 1998
)

// Order is a row of orders with its lines.
type Order struct {
	Key, Customer int
	Status        string
	TotalPrice    int64 // cents
	Date          Day
	Priority      string
	Clerk         int
	Lines         []Line

	comments *random
}

// Line is a row of lineitem.
type Line struct {
	Order, Part, Supplier, Number int
	Quantity                      int64 // whole pieces
	Price, Discount, Tax          int64 // in hundredths
	ReturnFlag, Status            string
	Ship, Commit, Receipt         Day
	Instruction, Mode             string

	comments *random
}

// Orders generates the orders. An order is valid until the next one.
func (d Data) Orders() iter.Seq[*Order] {
	return func(yield func(*Order) bool) {
		r := stream("orders")
		var o Order
		for n := range d.orders() {
			d.fill(&o, n, r)
			if !yield(&o) {
				return
			}
		}
	}
}

func (d Data) fill(o *Order, n int, r *random) {
	o.Key = n/8*32 + n%8 + 1 // only the first eight of 32 keys are used
	o.Customer = r.between(1, d.customers())
	for d.customers() > 3 && o.Customer%3 == 0 { // a third of the customers never orders
		o.Customer = r.between(1, d.customers())
	}
	o.Date = Day(r.between(0, int(lastOrder)))
	o.Priority = r.pick(priorities)
	o.Clerk = r.between(1, d.clerks())
	o.comments = stream("order comments")
	o.comments.state += r.next()
	o.Lines = o.Lines[:0]
	o.TotalPrice = 0
	open := 0
	lines := r.between(1, 7)
	for number := 1; number <= lines; number++ {
		l := d.line(o, number, r)
		o.TotalPrice += (l.Price*(100+l.Tax)*(100-l.Discount) + 5000) / 10000
		if l.Status == "O" {
			open++
		}
		o.Lines = append(o.Lines, l)
	}
	switch open {
	case 0:
		o.Status = "F"
	case len(o.Lines):
		o.Status = "O"
	default:
		o.Status = "P"
	}
}

func (d Data) line(o *Order, number int, r *random) Line {
	l := Line{Order: o.Key, Number: number, Part: r.between(1, d.parts()), Quantity: int64(r.between(1, 50))}
	l.Supplier = d.supplierOf(l.Part, r.between(0, 3))
	l.Price = l.Quantity * retailPrice(l.Part)
	l.Discount, l.Tax = int64(r.between(0, 10)), int64(r.between(0, 8))
	l.Ship = o.Date + Day(r.between(1, 121))
	l.Commit = o.Date + Day(r.between(30, 90))
	l.Receipt = l.Ship + Day(r.between(1, 30))
	l.ReturnFlag, l.Status = "N", "F"
	if l.Receipt <= today {
		l.ReturnFlag = r.pick([]string{"R", "A"})
	}
	if l.Ship > today {
		l.Status = "O"
	}
	l.Instruction, l.Mode = r.pick(instructions), r.pick(modes)
	l.comments = stream("line comments")
	l.comments.state += r.next()
	return l
}

func (o *Order) tuple(t *tuple) []byte {
	t.reset().int(o.Key).int(o.Customer).string(o.Status).money(o.TotalPrice).date(o.Date).string(o.Priority).
		format("Clerk#%09d", o.Clerk).int(0)
	return t.text(o.comments, 19, 78).done()
}

func (l *Line) tuple(t *tuple) []byte {
	t.reset().int(l.Order).int(l.Part).int(l.Supplier).int(l.Number).money(100 * l.Quantity).money(l.Price).
		money(l.Discount).money(l.Tax).string(l.ReturnFlag).string(l.Status).date(l.Ship).date(l.Commit).date(l.Receipt).
		string(l.Instruction).string(l.Mode)
	return t.text(l.comments, 10, 43).done()
}
