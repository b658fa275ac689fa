package parse

// tpchLike are queries over an orders warehouse, of the shapes that reporting tools send: joins of many tables, correlated
// subqueries, EXISTS, CASE in aggregates, dates with intervals, derived tables with column lists.
var tpchLike = []string{
	`select flag, status, sum(qty) as s, sum(price * (1 - discount) * (1 + tax)) as charge, avg(qty), count(*)
	 from items where shipped <= date '1998-12-01' - interval 90 day group by flag, status order by flag, status`,
	`select s.balance, s.name, n.name, p.id from part p, supplier s, offers o, nation n, region r
	 where p.id = o.part and s.id = o.supplier and p.size = 15 and p.kind like '%BRASS' and s.nation = n.id and n.region = r.id and r.name = 'EUROPE'
	 and o.cost = (select min(cost) from offers, supplier, nation, region where p.id = offers.part and supplier.id = offers.supplier and supplier.nation = nation.id)
	 order by s.balance desc, n.name, s.name limit 100`,
	`select i.ord, sum(i.price * (1 - i.discount)) revenue, o.day from customer c, orders o, items i where c.segment = 'BUILDING' and c.id = o.customer
	 and i.ord = o.id and o.day < date '1995-03-15' group by i.ord, o.day order by revenue desc, o.day limit 10`,
	`select priority, count(*) from orders o where day >= date '1993-07-01' and day < date '1993-07-01' + interval '3' month
	 and exists (select * from items where ord = o.id and committed < received) group by priority order by priority`,
	`select year, sum(case when nation = 'BRAZIL' then volume else 0 end) / sum(volume) as share from
	 (select extract(year from o.day) as year, i.price * (1 - i.discount) as volume, n2.name as nation from part p join items i on p.id = i.part
	  join orders o on o.id = i.ord join nation n1 on n1.id = o.nation join nation n2 on n2.id = i.nation where o.day between date '1995-01-01' and date '1996-12-31') as x
	 group by year order by year`,
	`with revenue (supplier, total) as (select supplier, sum(price * (1 - discount)) from items where shipped >= '1996-01-01' group by supplier)
	 select s.id, s.name, total from supplier s, revenue where s.id = supplier and total = (select max(total) from revenue) order by s.id`,
	`select n, count(*) as d from (select c.id, count(o.id) from customer c left outer join orders o on c.id = o.customer and o.comment not like '%special%requests%'
	 group by c.id) as c_orders (id, n) group by n order by d desc, n desc`,
	`select sum(price) / 7.0 as yearly from items, part where part.id = items.part and brand = 'Brand#23'
	 and qty < (select 0.2 * avg(qty) from items where part = part.id)`,
	`select s.name, count(*) as waiting from supplier s, items i1, orders o, nation n where s.id = i1.supplier and o.id = i1.ord and o.status = 'F'
	 and i1.received > i1.committed and exists (select * from items i2 where i2.ord = i1.ord and i2.supplier <> i1.supplier)
	 and not exists (select * from items i3 where i3.ord = i1.ord and i3.supplier <> i1.supplier and i3.received > i3.committed)
	 group by s.name order by waiting desc, s.name limit 100`,
	`select code, count(*), sum(balance) from (select substring(phone from 1 for 2) as code, balance from customer c
	 where substring(phone from 1 for 2) in ('13','31','23') and balance > (select avg(balance) from customer where balance > 0.00)
	 and not exists (select * from orders o where o.customer = c.id)) as x group by code order by code`,
}
