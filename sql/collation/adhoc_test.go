package collation
import ("testing";"bufio";"os";"strings";"strconv";"fmt";"stele/meta/types")
func TestAdhoc(t *testing.T){
 for c,f:=range map[types.Collation]string{1:"utf8mb4_general_ci",2:"utf8mb4_unicode_ci",3:"utf8mb4_unicode_520_ci",4:"utf8mb4_uca1400_ai_ci",5:"utf8mb4_uca1400_as_ci"}{
  fh,err:=os.Open("/tmp/coll7/w."+f); if err!=nil{t.Skip()}
  sc:=bufio.NewScanner(fh); bad:=0;n:=0
  for sc.Scan(){ p:=strings.Split(sc.Text(),"\t"); r,_:=strconv.Atoi(p[0])
   a,b:=tableOf(c).weights(rune(r),nil); s:=""
   for _,w:=range a{s+=fmt.Sprintf("%04X",w)}
   if c==5 {for _,w:=range b{s+=fmt.Sprintf("%04X",w)}}
   n++
   if s!=p[1]{bad++; if bad<5{t.Errorf("%v %x %s %s",c,r,s,p[1])}}
  }
  t.Log(c,n,bad)
 }
}
