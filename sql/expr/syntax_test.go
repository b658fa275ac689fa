package expr_test

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/expr"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// parser reads the expressions of testdata/functions.txt: enough of MySQL's grammar to call every function. The real
// parser is not used here, so that this package's tests need nothing above it.
type parser struct {
	toks []string
	at   int
}

func parse(src string) (n *expr.Node, err error) {
	toks, err := tokenize(src)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				n, err = nil, e
				return
			}
			panic(r)
		}
	}()
	n = p.expr(0)
	if p.at != len(p.toks) {
		return nil, fmt.Errorf("left over: %v", p.toks[p.at:])
	}
	return n, nil
}

func tokenize(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ':
			i++
			continue
		case c == '\'' || (c == 'x' || c == 'X') && i+1 < len(s) && s[i+1] == '\'':
			j := i + 1
			if c != '\'' {
				j++
			}
			var b strings.Builder
			for ; ; j++ {
				if j >= len(s) {
					return nil, fmt.Errorf("open string")
				}
				if s[j] == '\\' && j+1 < len(s) && c == '\'' && s[j+1] != '%' && s[j+1] != '_' {
					j++
					b.WriteByte(map[byte]byte{'n': '\n', '0': 0, 't': '\t'}[s[j]] | s[j]*byte(boolInt(!strings.ContainsRune("n0t", rune(s[j])))))
					continue
				}
				if s[j] == '\'' {
					if j+1 < len(s) && s[j+1] == '\'' {
						b.WriteByte('\'')
						j++
						continue
					}
					break
				}
				b.WriteByte(s[j])
			}
			out = append(out, map[bool]string{true: "'", false: "x'"}[c == '\'']+b.String())
			i = j + 1
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			j := i
			for j < len(s) && (s[j] >= '0' && s[j] <= '9' || s[j] == '.' || s[j] == 'e' || s[j] == 'E' || (s[j] == '-' || s[j] == '+') && (s[j-1] == 'e' || s[j-1] == 'E')) {
				j++
			}
			out = append(out, s[i:j])
			i = j
		case isWord(c):
			j := i
			for j < len(s) && (isWord(s[j]) || s[j] >= '0' && s[j] <= '9') {
				j++
			}
			out = append(out, s[i:j])
			i = j
		default:
			n := 1
			for _, op := range []string{"<=>", "<=", ">=", "<>", "!=", "<<", ">>", "&&", "||", "->>", "->"} {
				if strings.HasPrefix(s[i:], op) {
					n = len(op)
					break
				}
			}
			out = append(out, s[i:i+n])
			i += n
		}
	}
	return out, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isWord(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func (p *parser) peek() string {
	if p.at < len(p.toks) {
		return p.toks[p.at]
	}
	return ""
}

func (p *parser) is(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(word string) {
	if !p.is(word) {
		panic(fmt.Errorf("want %s at %v", word, p.toks[p.at:]))
	}
}

func call(name string, args ...*expr.Node) *expr.Node {
	n, err := expr.Call(name, args...)
	if err != nil {
		panic(err)
	}
	return n
}

var precedence = map[string]int{
	"or": 1, "||": 1, "xor": 2, "and": 3, "&&": 3, "=": 5, "<=>": 5, "!=": 5, "<>": 5, "<": 5, "<=": 5, ">": 5, ">=": 5,
	"is": 5, "in": 5, "between": 5, "like": 5, "regexp": 5, "rlike": 5, "not": 5,
	"|": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "div": 10, "%": 10, "mod": 10, "^": 11, "->": 13, "->>": 13,
}

func (p *parser) expr(level int) *expr.Node {
	var left *expr.Node
	if level <= 4 && p.is("not") {
		left = call("not", p.expr(4))
	} else {
		left = p.unary()
	}
	for {
		op := strings.ToLower(p.peek())
		prec, ok := precedence[op]
		if !ok || prec <= level {
			return left
		}
		p.at++
		left = p.infix(left, op, prec)
	}
}

func (p *parser) infix(left *expr.Node, op string, prec int) *expr.Node {
	negate := op == "not"
	if negate {
		op = strings.ToLower(p.peek())
		p.at++
	}
	var n *expr.Node
	switch op {
	case "is":
		negate = p.is("not")
		switch {
		case p.is("null"):
			n = call("isnull", left)
		case p.is("true"):
			n = call("istrue", left)
		default:
			p.want("false")
			n = call("isfalse", left)
		}
	case "in":
		p.want("(")
		n = call("in", append([]*expr.Node{left}, p.list()...)...)
	case "between":
		low := p.expr(5)
		p.want("and")
		n = call("between", left, low, p.expr(5))
	case "like":
		args := []*expr.Node{left, p.expr(prec)}
		if p.is("escape") {
			args = append(args, p.expr(prec))
		}
		n = call("like", args...)
	case "->":
		n = call("json_extract", left, p.expr(prec))
	case "->>":
		n = call("json_unquote", call("json_extract", left, p.expr(prec)))
	case "+", "-":
		if p.is("interval") {
			amount := p.expr(0)
			unit := p.word()
			n = call(map[string]string{"+": "date_add:", "-": "date_sub:"}[op]+unit, left, amount)
			break
		}
		n = call(op, left, p.expr(prec))
	default:
		n = call(op, left, p.expr(prec))
	}
	if negate {
		return call("not", n)
	}
	return n
}

func (p *parser) word() string {
	w := strings.ToLower(p.peek())
	p.at++
	return w
}

func (p *parser) list() []*expr.Node {
	var out []*expr.Node
	for !p.is(")") {
		out = append(out, p.expr(0))
		if !p.is(",") {
			p.want(")")
			break
		}
	}
	return out
}

func (p *parser) unary() *expr.Node {
	switch {
	case p.is("-"):
		if t := p.peek(); t != "" && t[0] >= '0' && t[0] <= '9' {
			p.at++
			return negative(number(t))
		}
		return call("neg", p.unary())
	case p.is("~"):
		return call("~", p.unary())
	case p.is("!"):
		return call("not", p.unary())
	case p.is("("):
		n := p.expr(0)
		p.want(")")
		return n
	}
	t := p.peek()
	if t == "" {
		panic(fmt.Errorf("unexpected end"))
	}
	p.at++
	switch {
	case t[0] == '\'':
		return expr.ConstString(t[1:])
	case strings.HasPrefix(t, "x'"):
		b, err := hex.DecodeString(t[2:])
		if err != nil {
			panic(err)
		}
		return expr.ConstBytes(b)
	case t[0] >= '0' && t[0] <= '9' || t[0] == '.':
		return number(t)
	}
	return p.named(strings.ToLower(t))
}

// negative folds the sign into a literal, as MySQL's parser does.
func negative(n *expr.Node) *expr.Node {
	folded, err := expr.Fold(call("neg", n), expr.Context{})
	if err != nil {
		panic(err)
	}
	return folded
}

func number(t string) *expr.Node {
	if strings.ContainsAny(t, "eE") {
		f, err := strconv.ParseFloat(t, 64)
		if err != nil {
			panic(err)
		}
		return expr.ConstFloat(f)
	}
	if u, err := strconv.ParseUint(t, 10, 64); err == nil {
		return expr.ConstUint(u)
	}
	n, err := expr.ConstDecimal(t)
	if err != nil {
		panic(err)
	}
	return n
}

func (p *parser) named(name string) *expr.Node {
	switch name {
	case "null":
		return expr.Null()
	case "true", "false":
		return expr.ConstBool(name == "true")
	case "case":
		return p.caseWhen()
	case "date", "time", "timestamp":
		if t := p.peek(); t != "" && t[0] == '\'' {
			p.at++
			return literal(name, t[1:])
		}
	}
	p.want("(")
	switch name {
	case "cast":
		n := p.expr(0)
		p.want("as")
		t := p.typeName()
		p.want(")")
		return expr.Cast(n, t)
	case "convert":
		n := p.expr(0)
		p.want("using")
		charset := p.word()
		p.want(")")
		return call("convert_using:"+charset, n)
	case "extract":
		unit := p.word()
		p.want("from")
		return call("extract:"+unit, p.list()...)
	case "timestampdiff", "timestampadd", "get_format":
		unit := p.word()
		p.want(",")
		return call(name+":"+unit, p.list()...)
	case "date_add", "date_sub", "adddate", "subdate":
		d := p.expr(0)
		p.want(",")
		if !p.is("interval") {
			return call(name, append([]*expr.Node{d}, p.list()...)...)
		}
		amount := p.expr(0)
		unit := p.word()
		p.want(")")
		return call(name+":"+unit, d, amount)
	}
	return call(name, p.list()...)
}

func (p *parser) caseWhen() *expr.Node {
	var base *expr.Node
	if !strings.EqualFold(p.peek(), "when") {
		base = p.expr(0)
	}
	var args []*expr.Node
	for p.is("when") {
		cond := p.expr(0)
		if base != nil {
			cond = call("=", base, cond)
		}
		p.want("then")
		args = append(args, cond, p.expr(0))
	}
	if p.is("else") {
		args = append(args, p.expr(0))
	}
	p.want("end")
	return call("case", args...)
}

func literal(kind, text string) *expr.Node {
	t := types.ColumnType{Kind: map[string]types.Kind{"date": types.KindDate, "time": types.KindTime, "timestamp": types.KindDateTime}[kind]}
	if i := strings.IndexByte(text, '.'); i >= 0 {
		t.Scale = int32(len(text) - i - 1)
	}
	v, err := sqltypes.Cast(vec.Str([]byte(text)), types.ColumnType{Kind: types.KindVarChar}, t, sqltypes.Env{})
	if err != nil {
		panic(err)
	}
	return expr.Const(v, t)
}

func (p *parser) typeName() types.ColumnType {
	name := p.word()
	var nums []int32
	if p.is("(") {
		for !p.is(")") {
			v, err := strconv.Atoi(p.word())
			if err != nil {
				panic(err)
			}
			nums = append(nums, int32(v))
			p.is(",")
		}
	}
	nums = append(nums, 0, 0)
	kinds := map[string]types.ColumnType{
		"signed": {Kind: types.KindBigInt}, "unsigned": {Kind: types.KindBigInt, Unsigned: true}, "double": {Kind: types.KindDouble},
		"float": {Kind: types.KindFloat}, "date": {Kind: types.KindDate}, "year": {Kind: types.KindYear}, "json": {Kind: types.KindJSON},
		"datetime": {Kind: types.KindDateTime, Scale: nums[0]}, "time": {Kind: types.KindTime, Scale: nums[0]},
		"timestamp": {Kind: types.KindTimestamp, Scale: nums[0]},
		"decimal":   {Kind: types.KindDecimal, Length: nums[0], Scale: nums[1]}, "char": {Kind: types.KindVarChar, Length: nums[0]},
		"binary": {Kind: types.KindVarBinary, Length: nums[0]},
	}
	t, ok := kinds[name]
	if !ok {
		panic(fmt.Errorf("type %s", name))
	}
	return t
}
