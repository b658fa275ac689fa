package tpch

import (
	"fmt"
	"slices"
	"strings"
)

// Q1Group is a row of query 1 without its averages, summed exactly. Amounts are in hundredths, DiscPrice in
// ten-thousandths, Charge in millionths.
type Q1Group struct {
	ReturnFlag, Status                    string
	Quantity, Price, DiscPrice, Charge, N int64
}

// String returns the row as SQL prints it, the columns separated by blanks, the averages left out.
func (g Q1Group) String() string {
	return fmt.Sprintf("%s %s %s %s %s %s %d", g.ReturnFlag, g.Status, decimal(100*g.Quantity, 2), decimal(g.Price, 2),
		decimal(g.DiscPrice, 4), decimal(g.Charge, 6), g.N)
}

// Q1 answers query 1 from the generated rows.
func (d Data) Q1() []Q1Group {
	last := Date(1998, 12, 1) - 90
	groups := map[[2]string]*Q1Group{}
	for o := range d.Orders() {
		for _, l := range o.Lines {
			if l.Ship > last {
				continue
			}
			g := groups[[2]string{l.ReturnFlag, l.Status}]
			if g == nil {
				g = &Q1Group{ReturnFlag: l.ReturnFlag, Status: l.Status}
				groups[[2]string{l.ReturnFlag, l.Status}] = g
			}
			g.Quantity += l.Quantity
			g.Price += l.Price
			g.DiscPrice += l.Price * (100 - l.Discount)
			g.Charge += l.Price * (100 - l.Discount) * (100 + l.Tax)
			g.N++
		}
	}
	var rows []Q1Group
	for _, g := range groups {
		rows = append(rows, *g)
	}
	slices.SortFunc(rows, func(a, b Q1Group) int { return strings.Compare(a.ReturnFlag+a.Status, b.ReturnFlag+b.Status) })
	return rows
}

// Q6 answers query 6 from the generated rows, as SQL prints it.
func (d Data) Q6() string {
	from, to := Date(1994, 1, 1), Date(1995, 1, 1)
	var sum int64
	for o := range d.Orders() {
		for _, l := range o.Lines {
			if l.Ship >= from && l.Ship < to && l.Discount >= 5 && l.Discount <= 7 && l.Quantity < 24 {
				sum += l.Price * l.Discount
			}
		}
	}
	return decimal(sum, 4)
}

// decimal prints n units of 10^-scale.
func decimal(n int64, scale int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	digits := fmt.Sprintf("%0*d", scale+1, n)
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
