// mysql2 against Stele; see stack.go for the contract of these scripts.
'use strict';
const assert = require('node:assert');
const mysql = require('mysql2/promise');

const env = process.env;

async function codeOf(conn, sql) {
  try {
    await conn.query(sql);
  } catch (e) {
    return e.errno;
  }
  return 0;
}

async function main() {
  const conn = await mysql.createConnection({
    host: env.STELE_HOST, port: Number(env.STELE_PORT), user: env.STELE_USER, password: env.STELE_PASSWORD,
    ssl: env.STELE_TLS ? { rejectUnauthorized: false } : undefined,
    compress: Boolean(env.STELE_COMPRESS), supportBigNumbers: true, dateStrings: true,
  });
  const [one] = await conn.query('SELECT 1 AS v');
  assert.equal(String(one[0].v ?? one[0][1]), '1');
  if (!env.STELE_LOGIN_ONLY) {
    const db = 'clients_node';
    await conn.query(`DROP DATABASE IF EXISTS ${db}`);
    await conn.query(`CREATE DATABASE ${db}`);
    await conn.changeUser({ database: db });
    await conn.query('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2), born DATE,'
      + ' seen DATETIME(3), ratio DOUBLE, big BIGINT UNSIGNED, data VARBINARY(20))');
    const values = [1, "Zoë's", '12.34', '2024-02-29', '2024-02-29 12:30:15.123', 0.5, '18446744073709551615',
      Buffer.from([0, 255])];
    const [res] = await conn.execute('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)', values);
    assert.equal(res.affectedRows, 1);
    await conn.execute('INSERT INTO t (id, name) VALUES (?, ?)', [2, null]);
    const select = 'SELECT id, name, price, born, seen, ratio, big, data FROM t WHERE id = ?';
    for (const run of [conn.execute.bind(conn), conn.query.bind(conn)]) {
      const [rows] = await run(select, [1]);
      assert.deepEqual(Object.values(rows[0]).map((v) => (Buffer.isBuffer(v) ? v.toString('hex') : String(v))),
        values.map((v) => (Buffer.isBuffer(v) ? v.toString('hex') : String(v))));
    }
    const [nulls] = await conn.execute(select, [2]);
    assert.equal(nulls[0].name, null);
    assert.equal(await codeOf(conn, 'INSERT INTO t (id) VALUES (1)'), 1062);
    assert.equal(await codeOf(conn, 'SELECT * FROM missing'), 1146);
    assert.equal(await codeOf(conn, 'SELEC 1'), 1064);
    await conn.query(`DROP DATABASE ${db}`);
  }
  await conn.ping();
  await conn.end();
  console.log('ok');
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
