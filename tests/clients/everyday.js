// Everyday use of mysql2 against Stele; see stack.go for the contract of these scripts.
'use strict';
const assert = require('node:assert');
const mysql = require('mysql2');
const promised = require('mysql2/promise');

const env = process.env;
const db = 'everyday_node';

function options(more) {
  return {
    host: env.STELE_HOST, port: Number(env.STELE_PORT), user: env.STELE_USER, password: env.STELE_PASSWORD, database: db,
    ssl: env.STELE_TLS ? { rejectUnauthorized: false } : undefined, ...more,
  };
}

const connect = (more) => mysql.createConnection(options(more)).promise();

async function fails(code, run) {
  try {
    await run();
  } catch (e) {
    assert.equal(e.errno, code, e.message);
    return e;
  }
  throw new Error(`no error ${code}`);
}

const one = async (c, sql, args) => Object.values((await c.query({ sql, rowsAsArray: true }, args))[0][0])[0];

const cases = {
  async all_types() {
    const c = await connect({ supportBigNumbers: true, bigNumberStrings: true, dateStrings: true, decimalNumbers: false });
    await c.query('CREATE TABLE kinds (id INT PRIMARY KEY, a TINYINT, b SMALLINT UNSIGNED, c INT, d BIGINT UNSIGNED, e DOUBLE, f DECIMAL(20,4),'
      + ' g DATE, h DATETIME(6), i TIMESTAMP, j TIME, k YEAR, l CHAR(5), m VARCHAR(100), n LONGTEXT, o VARBINARY(20), p BLOB, q JSON)');
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
    const values = [1, -128, 65535, -2147483648, '18446744073709551615', -1.5e100, '-1234567890123456.7890', '1000-01-01',
      '9999-12-31 23:59:59.999999', '2024-02-29 12:00:00', '-838:59:59', 2024, 'fix', 'Zoë 🦀 日本 \'"\\%', '🦀'.repeat(5000),
      Buffer.from([0, 255, 39, 92]), bytes, '{"a": [1, 2]}'];
    const marks = values.map(() => '?').join(',');
    await c.execute(`INSERT INTO kinds VALUES (${marks})`, values);
    await c.query('INSERT INTO kinds VALUES (?)', [[2, ...values.slice(1)]]);
    await c.execute(`INSERT INTO kinds VALUES (${marks})`, [3, ...values.slice(1).map(() => null)]);
    const text = (v) => (Buffer.isBuffer(v) ? v.toString('hex') : v !== null && typeof v === 'object' ? JSON.stringify(v) : String(v));
    const want = values.slice(1).map(text);
    want[want.length - 1] = '{"a":[1,2]}';
    for (const run of ['query', 'execute']) {
      for (const id of [1, 2]) {
        const [r] = await c[run]({ sql: 'SELECT * FROM kinds WHERE id = ?', rowsAsArray: true }, [id]);
        assert.deepEqual(r[0].slice(1).map(text), want, `${run} of row ${id}`);
      }
      const [r] = await c[run]({ sql: 'SELECT * FROM kinds WHERE id = 3', rowsAsArray: true });
      assert.deepEqual(r[0].slice(1), values.slice(1).map(() => null), `${run} of NULLs`);
    }
    await c.end();
  },
  async dates_and_numbers() {
    const c = await connect({ timezone: 'Z' });
    const at = new Date('2024-02-29T12:30:15.123Z');
    await c.query('CREATE TABLE dates (id INT PRIMARY KEY, t DATETIME(3), n BIGINT, f FLOAT)');
    await c.execute('INSERT INTO dates VALUES (?, ?, ?, ?)', [1, at, 9007199254740991n, 0.25]);
    await c.query('INSERT INTO dates VALUES (?, ?, ?, ?)', [2, at, -1, true]);
    for (const run of ['query', 'execute']) {
      const [r] = await c[run]('SELECT t, n, f FROM dates ORDER BY id');
      assert.equal(r[0].t.getTime(), at.getTime());
      assert.deepEqual([r[0].n, r[0].f, r[1].n, r[1].f], [9007199254740991, 0.25, -1, 1]);
    }
    await c.end();
  },
  async transactions() {
    const c = await connect();
    await c.query('CREATE TABLE tx (id INT PRIMARY KEY AUTO_INCREMENT, v INT)');
    await c.beginTransaction();
    const [res] = await c.query('INSERT INTO tx (v) VALUES ?', [[[1], [2], [3]]]);
    assert.equal(res.affectedRows, 3);
    assert.ok(res.insertId > 0);
    await c.rollback();
    assert.equal(await one(c, 'SELECT COUNT(*) FROM tx'), 0);
    await c.beginTransaction();
    const [ins] = await c.execute('INSERT INTO tx (v) VALUES (?)', [7]);
    await c.commit();
    assert.equal(await one(c, 'SELECT v FROM tx WHERE id = ?', [ins.insertId]), 7);
    const [upd] = await c.query('UPDATE tx SET v = 7');
    assert.deepEqual([upd.affectedRows, upd.changedRows], [1, 0]);
    await c.end();
  },
  async stream() {
    const c = mysql.createConnection(options());
    const q = (sql) => c.promise().query(sql);
    await q('CREATE TABLE big (id INT PRIMARY KEY, pad VARCHAR(40))');
    for (let at = 0; at < 300000; at += 10000) {
      await q('INSERT INTO big VALUES ' + Array.from({ length: 10000 }, (_, i) => `(${at + i},'row number ${at + i}')`).join(','));
    }
    let n = 0;
    let sum = 0;
    for await (const row of c.query('SELECT id, pad FROM big').stream({ highWaterMark: 100 })) {
      n++;
      sum += row.id;
    }
    assert.deepEqual([n, sum], [300000, 44999850000]);
    const [rows] = await c.promise().execute('SELECT id, pad FROM big ORDER BY id DESC');
    assert.equal(rows.length, 300000);
    assert.equal(rows[0].pad, 'row number 299999');
    await c.promise().end();
  },
  async pool() {
    const pool = mysql.createPool(options({ connectionLimit: 4 })).promise();
    const got = await Promise.all(Array.from({ length: 40 }, (_, i) => pool.execute('SELECT ? + 1 AS v', [i])));
    assert.deepEqual(got.map(([r]) => Number(r[0].v)), Array.from({ length: 40 }, (_, i) => i + 1));
    await pool.end();
  },
  async errors() {
    const c = await connect();
    await c.query('CREATE TABLE err (id INT PRIMARY KEY)');
    await c.query('INSERT INTO err VALUES (1)');
    for (const run of ['query', 'execute']) {
      assert.equal((await fails(1062, () => c[run]('INSERT INTO err VALUES (1)'))).code, 'ER_DUP_ENTRY');
      assert.equal((await fails(1064, () => c[run]('SELEC 1'))).sqlState, '42000');
      assert.equal((await fails(1146, () => c[run]('SELECT * FROM missing'))).sqlState, '42S02');
      assert.equal((await fails(1054, () => c[run]('SELECT missing FROM err'))).sqlState, '42S22');
    }
    await fails(1049, () => promised.createConnection(options({ database: 'everyday_missing' })));
    await c.ping();
    await c.end();
  },
  async multi_statements() {
    const c = await connect({ multipleStatements: true });
    const [r] = await c.query('SELECT 1 AS a; SET @x = 2; SELECT @x AS b');
    assert.deepEqual([Number(r[0][0].a), r[1].affectedRows, Number(r[2][0].b)], [1, 0, 2]);
    await c.end();
  },
  async change_user_and_reset() {
    const c = await connect();
    await c.query('SET @a = 1');
    await c.changeUser({ database: db });
    assert.equal(await one(c, 'SELECT @a'), null);
    await c.query('SET @a = 1, autocommit = 0');
    await c.reset();
    assert.equal(await one(c, 'SELECT @a'), null);
    assert.equal(Number(await one(c, 'SELECT @@autocommit')), 1);
    assert.equal(await one(c, 'SELECT DATABASE()'), db);
    await fails(1045, () => c.changeUser({ user: 'nobody', password: 'x' }));
    await c.destroy();
  },
  async prepared_reuse() {
    const c = await connect();
    const st = await c.prepare('SELECT ? AS a, ? AS b');
    for (const [a, b] of [[1, 'x'], ['y', 2.5], [null, Buffer.from('z')]]) {
      const [r] = await st.execute([a, b]);
      assert.deepEqual([r[0].a, r[0].b].map((v) => (v === null ? 'null' : String(v))), [a, b].map((v) => (v === null ? 'null' : String(v))));
    }
    await st.close();
    for (let i = 0; i < 50; i++) {
      const [r] = await c.execute(`SELECT ${i} AS v, ? AS w`, [i]);
      assert.deepEqual([Number(r[0].v), Number(r[0].w)], [i, i]);
      c.unprepare(`SELECT ${i} AS v, ? AS w`);
    }
    await c.end();
  },
  async limit_bound() {
    const c = await connect();
    const [limited] = await c.execute('SELECT id FROM err LIMIT ? OFFSET ?', ['1', '0']);
    assert.equal(limited.length, 1);
    await c.end();
  },
  async timeout() {
    const c = await connect();
    await assert.rejects(c.query({ sql: 'SELECT COUNT(*) FROM big a JOIN big b ON a.id % 1000 = b.id % 1000 WHERE a.pad < b.pad', timeout: 200 }),
      { code: 'PROTOCOL_SEQUENCE_TIMEOUT' });
    c.destroy();
  },
  async knex_and_typeorm() { // what these send at connect and for their schema checks
    const c = await connect();
    const bad = [];
    for (const sql of ['SELECT VERSION() AS `version`', "select * from information_schema.tables where table_name = 'err' and table_schema = database()",
      'SELECT 1 + 1 AS result', "SELECT * FROM `INFORMATION_SCHEMA`.`COLUMNS` WHERE `TABLE_SCHEMA` = 'everyday_node' AND `TABLE_NAME` = 'err'",
      'SHOW INDEX FROM `err`', 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION', 'COMMIT', 'SHOW CREATE TABLE `err`',
      "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'everyday_node'", 'SELECT @@SESSION.sql_mode']) {
      await c.query(sql).catch((e) => bad.push(`${sql}: ${e.message}`));
    }
    assert.deepEqual(bad, []);
    await c.end();
  },
};

async function main() {
  const admin = await connect({ database: undefined });
  await admin.query(`DROP DATABASE IF EXISTS ${db}`);
  await admin.query(`CREATE DATABASE ${db}`);
  for (const [name, run] of Object.entries(cases)) {
    const start = Date.now();
    try {
      await run();
      console.log(`pass ${name} ${Date.now() - start}ms`);
    } catch (e) { // every case is told
      const at = /everyday\.js:(\d+)/.exec(e.stack || '');
      console.log(`FAIL ${name}: line ${at ? at[1] : '?'}: ${String(e.message || e).replaceAll('\n', ' ')}`);
    }
  }
  await admin.query(`DROP DATABASE ${db}`);
  await admin.end();
  console.log('ok');
  process.exit(0); // connections of failed cases are still open
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
