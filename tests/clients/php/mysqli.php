<?php
// mysqli on mysqlnd: text statements, prepared ones with bound parameters, an unbuffered result, multi_query.
require __DIR__ . '/checks.php';
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

function connect(string $schema): mysqli
{
    $db = new mysqli(getenv('DB_HOST'), getenv('DB_USER'), getenv('DB_PASSWORD'), $schema, (int) getenv('DB_PORT'));
    $db->set_charset('utf8mb4');
    return $db;
}

function total(mysqli $db, int $first): int
{
    $rows = $db->execute_query('SELECT v FROM accounts WHERE id IN (?, ?)', [$first, $first + 1])->fetch_all();
    return array_sum(array_column($rows, 0));
}

$db = connect(getenv('DB_PLAIN'));
kinds($db->query('SELECT * FROM kinds WHERE id = 1')->fetch_assoc());
kinds($db->execute_query('SELECT * FROM kinds WHERE id = ?', [1])->fetch_assoc());

$insert = $db->prepare('INSERT INTO notes (title, body, n) VALUES (?, ?, ?)');
[$title, $body, $n] = [TITLE, BODY, 1];
$insert->bind_param('ssi', $title, $body, $n);
$insert->execute();
$id = $insert->insert_id;
equal('insert id', $id > 0, true);
equal('unicode', $db->execute_query('SELECT title, body FROM notes WHERE id = ?', [$id])->fetch_row(), [TITLE, BODY]);
try {
    $insert->execute();
    equal('duplicate', 'went through', 'refused');
} catch (mysqli_sql_exception $e) {
    equal('duplicate', [$e->getCode(), $e->getSqlState()], [1062, '23000']);
}
$db->execute_query('UPDATE notes SET n = n + ? WHERE id = ?', [41, $id]);
equal('updated', $db->affected_rows, 1);
$update = $db->prepare('UPDATE notes SET body = ? WHERE id = ?');
$nothing = null;
$update->bind_param('bi', $nothing, $id);
foreach (str_split(large(), 1_000_000) as $piece) {
    $update->send_long_data(0, $piece);
}
$update->execute();
equal('large', $db->execute_query('SELECT body FROM notes WHERE id = ?', [$id])->fetch_column() === large(), true);
$text = $db->real_escape_string(BODY);
$db->query("UPDATE notes SET body = '$text' WHERE id = $id");
equal('escaped', $db->query("SELECT body FROM notes WHERE id = $id", MYSQLI_USE_RESULT)->fetch_all(), [[BODY]]);
$db->multi_query('SELECT 1; SELECT n FROM notes; DO 0');
$results = [];
do {
    $result = $db->store_result();
    $results[] = $result ? $result->fetch_column() : null;
} while ($db->more_results() && $db->next_result());
equal('multi_query', $results, ['1', '42', null]);
$db->execute_query('DELETE FROM notes WHERE id = ?', [$id]);
equal('deleted', $db->affected_rows, 1);
$db->change_user(getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_SHARDED'));
$db->set_charset('utf8mb4');

$base = (int) getenv('DB_BASE');
foreach (['commit', 'rollback'] as $i => $finish) {
    $first = $base + 2 * $i;
    $db->begin_transaction();
    foreach ([10, 19] as $j => $v) {
        $db->execute_query('INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)', [$first + $j, $v, 'php']);
    }
    $db->execute_query('UPDATE accounts SET v = v + ? WHERE id = ?', [1, $first + 1]);
    equal('in transaction', total($db, $first), 30);
    $db->$finish();
    equal('after transaction', total($db, $first), 30 * (1 - $i));
}
done();
