<?php
// mysqli and PDO against Stele; see stack.go for the contract of these scripts.
declare(strict_types=1);

function same($got, $want, string $what): void
{
    if ($got !== $want) {
        fwrite(STDERR, "$what: got " . var_export($got, true) . ', want ' . var_export($want, true) . "\n");
        exit(1);
    }
}

$host = getenv('STELE_HOST');
$port = (int) getenv('STELE_PORT');
$user = getenv('STELE_USER');
$password = (string) getenv('STELE_PASSWORD');
$flags = 0;
if (getenv('STELE_TLS')) {
    $flags |= MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT;
}
if (getenv('STELE_COMPRESS')) {
    $flags |= MYSQLI_CLIENT_COMPRESS;
}
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$my = mysqli_init();
$my->real_connect($host, $user, $password, null, $port, null, $flags);
same((string) $my->query('SELECT 1')->fetch_row()[0], '1', 'SELECT 1');

function codeOf(mysqli $my, string $sql): int
{
    try {
        $my->query($sql);
    } catch (mysqli_sql_exception $e) {
        return $e->getCode();
    }
    return 0;
}

if (!getenv('STELE_LOGIN_ONLY')) {
    $db = 'clients_php';
    $my->query("DROP DATABASE IF EXISTS $db");
    $my->query("CREATE DATABASE $db");
    $my->select_db($db);
    $my->query('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2), born DATE, seen DATETIME(3),'
        . ' ratio DOUBLE, big BIGINT UNSIGNED, data VARBINARY(20))');
    $row = [1, "Zoë's", '12.34', '2024-02-29', '2024-02-29 12:30:15.123', 0.5, '18446744073709551615', "\x00\xff"];
    $st = $my->prepare('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    $st->bind_param('issssdss', ...$row);
    $st->execute();
    same($st->affected_rows, 1, 'affected rows');
    $row[0] = 2; // executed again without new types
    $row[1] = null;
    $st->execute();
    $st->close();
    $st = $my->prepare('SELECT name, price, born, seen, ratio, big, data FROM t WHERE id = ?');
    $id = 1;
    $st->bind_param('i', $id);
    $st->execute();
    same($st->get_result()->fetch_row(), ["Zoë's", '12.34', '2024-02-29', '2024-02-29 12:30:15.123', 0.5,
        '18446744073709551615', "\x00\xff"], 'prepared row');
    $id = 2;
    $st->execute();
    same($st->get_result()->fetch_row()[0], null, 'NULL');
    $st->close();
    same(codeOf($my, 'INSERT INTO t (id) VALUES (1)'), 1062, 'duplicate key');
    same(codeOf($my, 'SELECT * FROM missing'), 1146, 'unknown table');
    same(codeOf($my, 'SELEC 1'), 1064, 'syntax error');

    $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => false];
    $pdo = new PDO("mysql:host=$host;port=$port;dbname=$db;charset=utf8mb4", $user, $password, $options);
    $st = $pdo->prepare('SELECT id, price FROM t WHERE id >= ? ORDER BY id');
    $st->execute([1]);
    same($st->fetchAll(PDO::FETCH_NUM), [[1, '12.34'], [2, '12.34']], 'PDO rows');
    try {
        $pdo->query('SELECT * FROM missing');
        same('no error', '42S02', 'PDO error');
    } catch (PDOException $e) {
        same($e->errorInfo[0] . '/' . $e->errorInfo[1], '42S02/1146', 'PDO error');
    }
    $my->query("DROP DATABASE $db");
}
$my->close();
echo "ok\n";
