// Loads the tables of TPC-H from TSVs into DuckDB, runs its queries and prints what each took as JSON: argv = folder with NAME.tsv,
// schema.sql and qN.sql, database file, threads.
const { DuckDBInstance } = require('@duckdb/node-api');
const fs = require('fs');
const path = require('path');

const runs = 5;

async function main() {
  const [dir, file, threads] = process.argv.slice(2);
  const db = await DuckDBInstance.create(file);
  const c = await db.connect();
  const read = (name) => fs.readFileSync(path.join(dir, name), 'utf8');
  for (const statement of read('schema.sql').split(';')) if (statement.trim()) await c.run(statement);
  for (const name of fs.readdirSync(dir).filter((f) => f.endsWith('.tsv')))
    await c.run(`COPY ${path.basename(name, '.tsv')} FROM '${path.join(dir, name)}' (DELIMITER '\t', HEADER false, QUOTE '')`);
  await c.run('CHECKPOINT');
  await c.run(`SET threads = ${threads}`);
  const out = {};
  for (let n = 1; n <= 22; n++) {
    const text = read(`q${n}.sql`);
    await c.runAndReadAll(text);
    const cpu = process.cpuUsage();
    let wall = Infinity, rows = 0;
    for (let i = 0; i < runs; i++) {
      const start = process.hrtime.bigint();
      rows = (await c.runAndReadAll(text)).getRows().length;
      wall = Math.min(wall, Number(process.hrtime.bigint() - start) / 1e9);
    }
    const used = process.cpuUsage(cpu);
    out[n] = { wall, cpu: (used.user + used.system) / 1e6 / runs, rows };
  }
  console.log(JSON.stringify(out));
}
main().catch((e) => { console.error(e); process.exit(1); });
