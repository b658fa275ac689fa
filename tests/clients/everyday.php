<?php
// Everyday use of mysqli and PDO against Stele; see stack.go for the contract of these scripts.
declare(strict_types=1);

const DB = 'everyday_php';
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

function same($got, $want, string $what): void
{
    if ($got !== $want) {
        throw new Exception("$what: got " . substr(var_export($got, true), 0, 400) . ', want ' . substr(var_export($want, true), 0, 400));
    }
}

function connect(?string $db = DB): mysqli
{
    $my = mysqli_init();
    $my->options(MYSQLI_OPT_INT_AND_FLOAT_NATIVE, 0);
    $flags = getenv('STELE_TLS') ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0;
    $my->real_connect(getenv('STELE_HOST'), getenv('STELE_USER'), (string) getenv('STELE_PASSWORD'), $db, (int) getenv('STELE_PORT'), null, $flags);
    return $my;
}

function pdo(bool $emulate, array $more = []): PDO
{
    $options = $more + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulate];
    if (getenv('STELE_TLS')) {
        $options += [PDO::MYSQL_ATTR_SSL_CA => '/dev/null', PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false];
    }
    $dsn = 'mysql:host=' . getenv('STELE_HOST') . ';port=' . getenv('STELE_PORT') . ';dbname=' . DB . ';charset=utf8mb4';
    return new PDO($dsn, getenv('STELE_USER'), (string) getenv('STELE_PASSWORD'), $options);
}

function fails(int $code, callable $run): void
{
    try {
        $run();
    } catch (mysqli_sql_exception $e) {
        same($e->getCode(), $code, $e->getMessage());
        return;
    } catch (PDOException $e) {
        same($e->errorInfo[1], $code, $e->getMessage());
        return;
    }
    throw new Exception("no error $code");
}

function allTypes(PDO $pdo): void
{
    $pdo->exec('DROP TABLE IF EXISTS kinds');
    $pdo->exec('CREATE TABLE kinds (id INT PRIMARY KEY, a TINYINT, b BIGINT UNSIGNED, c DOUBLE, d DECIMAL(20,4), e DATE, f DATETIME(6), g TIME,'
        . ' h YEAR, i CHAR(5), j VARCHAR(100), k LONGTEXT, l BLOB)');
    $row = [1, -128, '18446744073709551615', '-1.5', '-1234567890123456.7890', '1000-01-01', '9999-12-31 23:59:59.999999', '-838:59:59',
        2024, 'fix', "Zoë 🦀 日本 '\"\\%", str_repeat('🦀', 5000), implode('', array_map('chr', range(0, 255)))];
    $st = $pdo->prepare('INSERT INTO kinds VALUES (' . implode(',', array_fill(0, count($row), '?')) . ')');
    foreach ($row as $i => $v) {
        $st->bindValue($i + 1, $v, is_int($v) ? PDO::PARAM_INT : ($i === 12 ? PDO::PARAM_LOB : PDO::PARAM_STR));
    }
    $st->execute();
    $st->execute(array_merge([2], array_fill(0, count($row) - 1, null)));
    $st = $pdo->prepare('SELECT * FROM kinds WHERE id = :id');
    $st->execute(['id' => 1]);
    same(array_map('strval', $st->fetch(PDO::FETCH_NUM)), array_map('strval', $row), 'row');
    $st->execute(['id' => 2]);
    same($st->fetch(PDO::FETCH_NUM), array_merge([2], array_fill(0, count($row) - 1, null)), 'NULLs');
    $meta = $st->getColumnMeta(4);
    same([$meta['native_type'], $meta['table'], $meta['precision']], ['NEWDECIMAL', 'kinds', 4], 'getColumnMeta');
}

function bigTable(): void
{
    $my = connect();
    $my->query('CREATE TABLE big (id INT PRIMARY KEY, pad VARCHAR(40))');
    for ($at = 0; $at < 300000; $at += 10000) {
        $my->query('INSERT INTO big VALUES ' . implode(',', array_map(fn ($i) => "($i,'row number $i')", range($at, $at + 9999))));
    }
    $my->close();
}

function unbuffered(): void
{
    $my = connect();
    $res = $my->query('SELECT id, pad FROM big', MYSQLI_USE_RESULT);
    [$n, $sum] = [0, 0];
    while ($r = $res->fetch_row()) {
        $n++;
        $sum += (int) $r[0];
    }
    same([$n, $sum], [300000, 44999850000], 'mysqli');
    $res->free();
    $my->close();
    $pdo = pdo(false, [PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => false]);
    $st = $pdo->prepare('SELECT id, pad FROM big WHERE id >= ?');
    $st->execute([0]);
    for ($n = 0; $st->fetch(PDO::FETCH_NUM); $n++);
    same($n, 300000, 'PDO');
    $st->execute([0]);
    $st->fetch();
    $st->closeCursor(); // left early
    same((string) $pdo->query('SELECT 1')->fetchColumn(), '1', 'after an unread result');
}

function buffered(): void
{
    $my = connect();
    same($my->query('SELECT id, pad FROM big ORDER BY id')->num_rows, 300000, 'rows');
    $my->close();
}

function cursors(): void
{
    $my = connect();
    $st = $my->prepare('SELECT id FROM big WHERE id >= ? ORDER BY id');
    $st->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
    $from = 299000;
    $st->bind_param('i', $from);
    $st->execute();
    $st->bind_result($id);
    for ($n = 0; $st->fetch(); $n++) {
        same((int) $id, 299000 + $n, 'row of the cursor');
    }
    same($n, 1000, 'rows of the cursor');
    $st->close();
    $my->close();
}

function transactions(): void
{
    $my = connect();
    $my->query('CREATE TABLE tx (id INT PRIMARY KEY AUTO_INCREMENT, v INT)');
    $my->begin_transaction();
    $my->query('INSERT INTO tx (v) VALUES (1), (2)');
    same($my->affected_rows, 2, 'affected rows');
    $first = $my->insert_id;
    $my->rollback();
    same($my->query('SELECT COUNT(*) FROM tx')->fetch_row()[0], '0', 'rolled back');
    $my->autocommit(false);
    $my->query('INSERT INTO tx (v) VALUES (3)');
    same($my->insert_id > $first, true, 'insert_id grows');
    $my->commit();
    $my->autocommit(true);
    $my->query('UPDATE tx SET v = 3');
    same($my->info, 'Rows matched: 1  Changed: 0  Warnings: 0', 'info');
    $my->close();
    $pdo = pdo(false);
    $pdo->beginTransaction();
    $pdo->exec('INSERT INTO tx (v) VALUES (9)');
    $id = $pdo->lastInsertId();
    $pdo->commit();
    same((string) $pdo->query("SELECT v FROM tx WHERE id = $id")->fetchColumn(), '9', 'lastInsertId');
}

function multiQuery(): void
{
    $my = connect();
    $my->multi_query("SELECT 1; SET @x = 5; SELECT @x");
    $got = [];
    do {
        if ($res = $my->store_result()) {
            $got[] = $res->fetch_row()[0];
        }
    } while ($my->more_results() && $my->next_result());
    same($got, ['1', '5'], 'results');
    $my->close();
}

function changeUser(): void
{
    $my = connect();
    $my->query('SET @a = 1');
    $my->change_user(getenv('STELE_USER'), (string) getenv('STELE_PASSWORD'), DB);
    same($my->query('SELECT @a')->fetch_row()[0], null, 'variable after change_user');
    same($my->set_charset('utf8mb4'), true, 'set_charset');
    same($my->character_set_name(), 'utf8mb4', 'character set');
    same($my->real_escape_string("a'b"), "a\\'b", 'escape');
    same(strpos($my->stat(), 'Uptime: ') === 0, true, 'stat');
    same($my->thread_id > 0, true, 'thread_id');
    same(count($my->query('SHOW FULL PROCESSLIST')->fetch_all()) > 0, true, 'processlist');
    $my->close();
}

function longData(): void
{
    $my = connect();
    $my->query('CREATE TABLE fat (id INT PRIMARY KEY, body LONGBLOB)');
    $st = $my->prepare('INSERT INTO fat VALUES (?, ?)');
    $id = 1;
    $null = null;
    $st->bind_param('ib', $id, $null);
    for ($i = 0; $i < 16; $i++) {
        $st->send_long_data(1, str_repeat(chr(65 + $i), 65536));
    }
    $st->execute();
    same($my->query('SELECT LENGTH(body) FROM fat')->fetch_row()[0], '1048576', 'length');
    $body = $my->query('SELECT body FROM fat')->fetch_row()[0];
    same($body[0] . $body[1048575], 'AP', 'ends');
    $my->close();
}

function errors(): void
{
    $my = connect();
    $my->query('CREATE TABLE err (id INT PRIMARY KEY)');
    $my->query('INSERT INTO err VALUES (1)');
    fails(1062, fn () => $my->query('INSERT INTO err VALUES (1)'));
    same($my->sqlstate, '23000', 'sqlstate');
    fails(1064, fn () => $my->query('SELEC 1'));
    fails(1146, fn () => $my->prepare('SELECT * FROM missing'));
    fails(1054, fn () => $my->prepare('SELECT missing FROM err'));
    fails(1049, fn () => $my->select_db('missing'));
    fails(1049, fn () => connect('missing'));
    $my->close();
    foreach ([true, false] as $emulate) {
        $pdo = pdo($emulate);
        fails(1062, fn () => $pdo->prepare('INSERT INTO err VALUES (?)')->execute([1]));
        fails(1146, fn () => $pdo->query('SELECT * FROM missing'));
    }
}

function limitBound(): void
{
    $pdo = pdo(false);
    $st = $pdo->prepare('SELECT id FROM big ORDER BY id LIMIT ? OFFSET ?');
    $st->bindValue(1, 2, PDO::PARAM_INT);
    $st->bindValue(2, 5, PDO::PARAM_INT);
    $st->execute();
    same(array_map('intval', $st->fetchAll(PDO::FETCH_COLUMN)), [5, 6], 'rows');
}

$cases = [
    'all_types emulated' => fn () => allTypes(pdo(true)),
    'all_types prepared' => fn () => allTypes(pdo(false)),
    'big_table' => 'bigTable', 'unbuffered' => 'unbuffered', 'buffered' => 'buffered', 'cursors' => 'cursors',
    'transactions' => 'transactions', 'multi_query' => 'multiQuery', 'change_user' => 'changeUser', 'long_data' => 'longData',
    'errors' => 'errors', 'limit_bound' => 'limitBound',
];
$admin = connect(null);
$admin->query('DROP DATABASE IF EXISTS ' . DB);
$admin->query('CREATE DATABASE ' . DB);
foreach ($cases as $name => $run) {
    $start = microtime(true);
    try {
        $run();
        printf("pass %s %.1fs\n", $name, microtime(true) - $start);
    } catch (Throwable $e) { // every case is told
        $line = $e->getLine();
        foreach ($e->getTrace() as $t) {
            if (!in_array($t['function'], ['same', 'fails'], true)) {
                break;
            }
            $line = $t['line'];
        }
        printf("FAIL %s: line %d: %s\n", $name, $line, str_replace("\n", ' ', $e->getMessage()));
    }
}
$admin->query('DROP DATABASE ' . DB);
$admin->close();
echo "ok\n";
