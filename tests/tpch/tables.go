package tpch

func (d Data) regionRows(yield func([]byte) bool) {
	r, t := stream("region"), tuple{}
	for key, name := range regions {
		if !yield(t.reset().int(key).string(name).text(r, 31, 115).done()) {
			return
		}
	}
}

func (d Data) nationRows(yield func([]byte) bool) {
	r, t := stream("nation"), tuple{}
	for key, n := range nations {
		if !yield(t.reset().int(key).string(n.name).int(n.region).text(r, 31, 114).done()) {
			return
		}
	}
}

func (d Data) supplierRows(yield func([]byte) bool) {
	r, t := stream("supplier"), tuple{}
	for key := 1; key <= d.suppliers(); key++ {
		nation := r.between(0, len(nations)-1)
		t.reset().int(key).format("Supplier#%09d", key).scribble(r, 10, 40).int(nation).phone(r, nation).
			money(int64(r.between(-99999, 999999)))
		// One supplier in a thousand is complained about and another one praised; small sets get one of each.
		switch key % 1000 {
		case 13:
			t.string("even Customer parcels settle, Complaints near")
		case 17:
			t.string("bold Customer orders rest Recommends after")
		default:
			t.text(r, 25, 100)
		}
		if !yield(t.done()) {
			return
		}
	}
}

func (d Data) customerRows(yield func([]byte) bool) {
	r, t := stream("customer"), tuple{}
	for key := 1; key <= d.customers(); key++ {
		nation := r.between(0, len(nations)-1)
		t.reset().int(key).format("Customer#%09d", key).scribble(r, 10, 40).int(nation).phone(r, nation).
			money(int64(r.between(-99999, 999999))).string(r.pick(segments)).text(r, 29, 116)
		if !yield(t.done()) {
			return
		}
	}
}

func (d Data) partRows(yield func([]byte) bool) {
	r, t := stream("part"), tuple{}
	for key := 1; key <= d.parts(); key++ {
		maker := r.between(1, 5)
		t.reset().int(key).quoted(func(b []byte) []byte { return partName(r, b) }).format("Manufacturer#%d", maker).
			format("Brand#%d%d", maker, r.between(1, 5)).
			string(r.pick(typeSizes)+" "+r.pick(typeFinishes)+" "+r.pick(typeMetals)).int(r.between(1, 50)).
			string(r.pick(containerSizes)+" "+r.pick(containerKinds)).money(retailPrice(key)).text(r, 5, 22)
		if !yield(t.done()) {
			return
		}
	}
}

// partName is five different colours.
func partName(r *random, b []byte) []byte {
	var chosen [5]int
	for i := range chosen {
		for again := true; again; {
			chosen[i] = r.between(0, len(colours)-1)
			again = false
			for _, other := range chosen[:i] {
				again = again || other == chosen[i]
			}
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, colours[chosen[i]]...)
	}
	return b
}

func retailPrice(part int) int64 {
	return int64(90000 + part/10%20001 + 100*(part%1000))
}

// supplierOf is the i-th of the four suppliers of a part.
func (d Data) supplierOf(part, i int) int {
	s := d.suppliers()
	return (part+i*(s/4+(part-1)/s))%s + 1
}

func (d Data) partsuppRows(yield func([]byte) bool) {
	r, t := stream("partsupp"), tuple{}
	for part := 1; part <= d.parts(); part++ {
		for i := range 4 {
			t.reset().int(part).int(d.supplierOf(part, i)).int(r.between(1, 9999)).money(int64(r.between(100, 100000))).text(r, 49, 198)
			if !yield(t.done()) {
				return
			}
		}
	}
}
