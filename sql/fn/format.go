package fn

import (
	"slices"
	"strconv"
	"strings"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// numerals is how a locale writes a number.
type numerals struct {
	point, between string // the point, and what stands between groups of digits, "" = there are none
	lakh           bool   // groups of two digits, but for the last
}

var english = numerals{point: ".", between: ","}

// numeralsOf are the locales, in lower case, that do not write numbers as en_US does. What they say is MySQL's, not what their countries write today.
var numeralsOf = func() map[string]numerals {
	out := map[string]numerals{}
	for list, n := range map[string]numerals{
		"en_IN ta_IN te_IN": {".", ",", true},
		"ar_SA sr_RS":       {".", "", false},
		"bg_BG ca_ES de_AT el_GR eu_ES fr_BE fr_CA fr_CH fr_FR fr_LU gl_ES hr_HR it_IT nl_BE nl_NL pl_PL pt_BR pt_PT sl_SI": {",", "", false},
		"de_CH":       {".", "'", false},
		"it_CH rm_CH": {",", "'", false},
		"cs_CZ es_CR et_EE fi_FI lv_LV mk_MK ru_RU sk_SK sv_FI sv_SE": {",", " ", false},
		"be_BY da_DK de_BE de_DE de_LU es_AR es_BO es_CL es_CO es_EC es_ES es_PY es_UY es_VE fo_FO hu_HU id_ID is_IS lt_LT " +
			"mn_MN nb_NO no_NO ro_RO ru_UA sq_AL tr_TR uk_UA vi_VN": {",", ".", false},
	} {
		for name := range strings.FieldsSeq(list) {
			out[strings.ToLower(name)] = n
		}
	}
	return out
}()

func formatRule(_ string, a []T) ([]T, T, error) {
	x := numeric(a[0])
	if x.Kind == types.KindBigInt {
		x = decimal(20, 0)
	}
	return []T{x, tInt, tStr}[:len(a)], tStr, nil
}

func formatRow(c *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null || a[1].Null {
		return vec.NullValue(), nil
	}
	d := int32(max(0, min(a[1].I, maxScale)))
	var s []byte
	if c.Args[0].Kind == types.KindDouble {
		r := roundFloat(a[0].F, int64(d))
		s = strconv.AppendFloat(nil, r, 'f', int(d), 64)
	} else {
		v, ok := sqltypes.Rescale(decimalOf(a[0], c.Args[0]), c.Args[0].Scale, d)
		if !ok { // so many digits that the last ones are zeros
			v, d = decimalOf(a[0], c.Args[0]), c.Args[0].Scale
		}
		s = sqltypes.AppendDecimal(nil, v, d)
	}
	n := english
	if len(a) > 2 && !a[2].Null {
		if known, ok := numeralsOf[strings.ToLower(string(a[2].B))]; ok {
			n = known
		}
	}
	return vec.Str(n.group(s)), nil
}

// group writes a number as its locale does.
func (n numerals) group(s []byte) []byte {
	whole, frac, _ := strings.Cut(string(s), ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	var groups []string // from the last
	for size := 3; n.between != "" && len(whole) > size; {
		groups = append(groups, whole[len(whole)-size:])
		whole = whole[:len(whole)-size]
		if n.lakh {
			size = 2
		}
	}
	groups = append(groups, whole)
	slices.Reverse(groups)
	out := sign + strings.Join(groups, n.between)
	if frac != "" {
		out += n.point + frac
	}
	return []byte(out)
}
