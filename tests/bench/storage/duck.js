// Loads a TSV of lineitem into DuckDB, runs queries and prints what it took as JSON: argv = TSV, database file.
const { DuckDBInstance } = require('@duckdb/node-api');
const fs = require('fs');

async function timed(f) {
  const cpu = process.cpuUsage(), wall = process.hrtime.bigint();
  const value = await f();
  const used = process.cpuUsage(cpu);
  return { value, wall: Number(process.hrtime.bigint() - wall) / 1e9, cpu: (used.user + used.system) / 1e6 };
}

async function best(n, f) {
  let out;
  for (let i = 0; i < n; i++) {
    const t = await timed(f);
    if (!out) out = t;
    out.wall = Math.min(out.wall, t.wall);
    out.cpu = Math.min(out.cpu, t.cpu);
  }
  return out;
}

async function main() {
  const [tsv, file] = process.argv.slice(2);
  const db = await DuckDBInstance.create(file);
  const c = await db.connect();
  const rows = async (sql) => (await c.runAndReadAll(sql)).getRows();
  await c.run(`CREATE TABLE lineitem (l_orderkey BIGINT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL,
    l_linenumber INT NOT NULL, l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL,
    l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL, l_returnflag VARCHAR NOT NULL,
    l_linestatus VARCHAR NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
    l_shipinstruct VARCHAR NOT NULL, l_shipmode VARCHAR NOT NULL, l_comment VARCHAR NOT NULL)`);
  const out = { version: String((await rows('SELECT version()'))[0][0]) };
  out.load = await timed(async () => {
    await c.run(`COPY lineitem FROM '${tsv}' (DELIMITER '\t', HEADER false, QUOTE '')`);
    await c.run('CHECKPOINT');
  });
  out.bytes = fs.statSync(file).size;
  const q1 = `SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), sum(l_extendedprice * (1 - l_discount)),
    sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), avg(l_quantity), avg(l_extendedprice), avg(l_discount), count(*)
    FROM lineitem WHERE l_shipdate <= DATE '1998-09-02' GROUP BY 1, 2 ORDER BY 1, 2`;
  const q6 = `SELECT sum(l_extendedprice * l_discount) FROM lineitem WHERE l_shipdate >= DATE '1994-01-01'
    AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24`;
  for (const threads of [1, 2]) {
    await c.run(`SET threads = ${threads}`);
    out['q1x' + threads] = await best(7, () => rows(q1));
    out['q6x' + threads] = await best(7, () => rows(q6));
  }
  await c.run('SET threads = 1');
  out.sum = await best(7, () => rows('SELECT sum(l_extendedprice) FROM lineitem'));
  const digits = (x) => String(x).replace('.', '');
  out.q1 = out.q1x1.value.map((r) => [r[0], r[1], ...r.slice(2, 6).map(digits), String(r[9])].join('|')).join('\n');
  out.q6 = digits(out.q6x1.value[0][0]);
  console.log(JSON.stringify(out, (k, v) => (k === 'value' ? undefined : typeof v === 'bigint' ? String(v) : v)));
}
main().catch((e) => { console.error(e); process.exit(1); });
