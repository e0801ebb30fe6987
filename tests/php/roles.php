<?php
// PDO and the pgsql functions through pgscrim.
//
// Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.

declare(strict_types=1);

$port = getenv('PROXY_PORT');
$role = getenv('ROLE');
$masked = $role === 'support';
$phone = fn (int $n): string => ($masked ? '*****' : '0901234') . sprintf('%03d', $n);

function same(mixed $expected, mixed $got): void
{
    if ($expected !== $got) {
        throw new Exception('expected ' . var_export($expected, true) . ', got ' . var_export($got, true));
    }
}

function refused(string $code, callable $call): PDOException
{
    try {
        $call();
    } catch (PDOException $error) {
        same($code, $error->errorInfo[0]);
        return $error;
    }
    throw new Exception("not refused: $code");
}

foreach ([false, true] as $emulated) {
    $db = new PDO("pgsql:host=127.0.0.1;port=$port;dbname=shop", $role, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulated]);
    $statement = $db->prepare('SELECT id, full_name, phone, email FROM customers WHERE id = :id');
    foreach (range(1, 8) as $n) {
        $statement->execute(['id' => $n]);
        same([$n, $masked ? 'N*** K***' : "Nguyen Thi Minh Khai$n", $phone($n), $masked ? null : "khai$n@gmail.com"], $statement->fetch(PDO::FETCH_NUM));
    }
    same('varchar', $statement->getColumnMeta(2)['native_type']);
    same($phone(1), $db->query('SELECT phone FROM customers ORDER BY id')->fetchColumn());
    same("'it''s'", $db->quote("it's"));
    $db->beginTransaction();
    $insert = $db->prepare('INSERT INTO orders VALUES (?, ?, ?, ?)');
    $insert->execute([69701, 1, '2.50', '2025-06-01']);
    same(1, $insert->rowCount());
    $cursor = $db->prepare('SELECT phone FROM customers ORDER BY id', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $cursor->execute();
    same($phone(3), $cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 3)[0]);
    $cursor = null;
    $db->rollBack();
    $db->pgsqlCopyFromArray('orders', ["69702\t1\t2.5\t2025-06-01"]);
    same(1, $db->exec('DELETE FROM orders WHERE id = 69702'));
    same(["1\t" . $phone(1) . "\n"], $db->pgsqlCopyToArray('(SELECT id, phone FROM customers ORDER BY id LIMIT 1)'));
    refused('42703', fn () => $db->query('SELECT nothing FROM customers'));
    refused('23505', fn () => $db->exec("INSERT INTO customers (id, full_name) VALUES (1, 'x')"));
    if ($masked) {
        same(true, str_contains(refused('42501', fn () => $db->query('SELECT note FROM customers'))->getMessage(), 'PGS0201'));
    }
    $db->exec('LISTEN parcels');
    $db->exec("NOTIFY parcels, 'x'");
    same($masked ? '' : 'x', $db->pgsqlGetNotify(PDO::FETCH_ASSOC, 5000)['payload'] ?? '');
    $db = null;
}

$raw = pg_connect("host=127.0.0.1 port=$port dbname=shop user=$role");
same($phone(7), pg_fetch_result(pg_query_params($raw, 'SELECT phone FROM customers WHERE id = $1', [7]), 0, 0));
pg_prepare($raw, 'by-id', 'SELECT phone FROM customers WHERE id = $1');
same($phone(8), pg_fetch_result(pg_execute($raw, 'by-id', [8]), 0, 0));
// These three read the columns of the table from the catalogs.
same('varchar', pg_meta_data($raw, 'customers')['phone']['type']);
same(true, (bool) pg_insert($raw, 'orders', ['id' => 69703, 'customer_id' => 1, 'amount' => '2.5', 'placed' => '2025-06-01']));
same('69703', pg_select($raw, 'orders', ['id' => 69703])[0]['id']);
same(true, (bool) pg_delete($raw, 'orders', ['id' => 69703]));
same(["1\t" . $phone(1) . "\n"], pg_copy_to($raw, '(SELECT id, phone FROM customers ORDER BY id LIMIT 1)'));
same('phone', pg_field_name(pg_query($raw, 'SELECT phone FROM customers'), 0));
same('orders', pg_field_table(pg_query($raw, 'SELECT amount FROM orders'), 0));
echo "ok\n";
