package types

import (
	"strconv"
	"strings"

	mt "stele/meta/types"
)

// A ZEROFILL column is a number like any other; only clients are sent it with zeros before it. How many is a part of what SHOW
// prints of the type, and nowhere else.

// zerofillEnd is how the text of such a type ends.
const zerofillEnd = " zerofill"

// zerofillWidths are the display widths of integers without one.
var zerofillWidths = map[mt.Kind]int{mt.KindTinyInt: 3, mt.KindSmallInt: 5, mt.KindMediumInt: 8, mt.KindInt: 10, mt.KindBigInt: 20}

// ZerofillName is the type as SHOW prints it; width is what the definition says, below 1 = nothing.
func ZerofillName(t mt.ColumnType, width int) string {
	name, rest, _ := strings.Cut(TypeName(t), " ")
	if most := zerofillWidths[t.Kind]; most > 0 {
		if width < 1 {
			width = most
		}
		name += "(" + strconv.Itoa(width) + ")"
	}
	if rest != "" {
		name += " " + rest
	}
	return name + zerofillEnd
}

// ZerofillWidth is to how many digits clients see a column filled up, 0 = as it is.
func ZerofillWidth(c *mt.Column) int32 {
	if !c.Type.IsInteger() || !strings.HasSuffix(c.Shown, zerofillEnd) {
		return 0
	}
	_, rest, _ := strings.Cut(c.Shown, "(")
	digits, _, _ := strings.Cut(rest, ")")
	n, err := strconv.Atoi(digits)
	if err != nil { // of a table that was made before widths were kept
		n = zerofillWidths[c.Type.Kind]
	}
	return int32(n)
}
