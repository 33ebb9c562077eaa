<?php
// PDO: "emulated" puts parameters into the statements, "prepared" prepares them on the server.
require __DIR__ . '/checks.php';

function connect(string $schema): PDO
{
    global $argv;
    $dsn = sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', getenv('DB_HOST'), getenv('DB_PORT'), $schema);
    return new PDO($dsn, getenv('DB_USER'), getenv('DB_PASSWORD'), [PDO::ATTR_EMULATE_PREPARES => $argv[1] === 'emulated']);
}

function run(PDO $db, string $sql, array $values): PDOStatement
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement;
}

function total(PDO $db, int $first): int
{
    return array_sum(run($db, 'SELECT v FROM accounts WHERE id IN (?, ?)', [$first, $first + 1])->fetchAll(PDO::FETCH_COLUMN));
}

$db = connect(getenv('DB_PLAIN'));
kinds(run($db, 'SELECT * FROM kinds WHERE id = ?', [1])->fetch(PDO::FETCH_ASSOC));

run($db, 'INSERT INTO notes (title, body, n) VALUES (:title, :body, :n)', ['title' => TITLE, 'body' => BODY, 'n' => 1]);
$id = (int) $db->lastInsertId();
equal('insert id', $id > 0, true);
equal('unicode', run($db, 'SELECT title, body FROM notes WHERE id = ?', [$id])->fetch(PDO::FETCH_NUM), [TITLE, BODY]);
try {
    run($db, 'INSERT INTO notes (title) VALUES (?)', [TITLE]);
    equal('duplicate', 'went through', 'refused');
} catch (PDOException $e) {
    equal('duplicate', array_slice($e->errorInfo, 0, 2), ['23000', 1062]);
}
equal('updated', run($db, 'UPDATE notes SET n = n + ? WHERE id = ?', [41, $id])->rowCount(), 1);
run($db, 'UPDATE notes SET body = ? WHERE id = ?', [large(), $id]);
equal('large', run($db, 'SELECT body FROM notes WHERE id = ?', [$id])->fetchColumn() === large(), true);
$quoted = $db->quote(BODY);
equal('quoted', $db->query("SELECT $quoted")->fetchColumn(), BODY);
$db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
equal('unbuffered', run($db, 'SELECT id FROM notes WHERE n = ?', [42])->fetchAll(PDO::FETCH_COLUMN), [$id]);
equal('deleted', run($db, 'DELETE FROM notes WHERE id = ?', [$id])->rowCount(), 1);

$db = connect(getenv('DB_SHARDED'));
$base = (int) getenv('DB_BASE');
foreach (['commit', 'rollBack'] as $i => $finish) {
    $first = $base + 2 * $i;
    $db->beginTransaction();
    foreach ([10, 19] as $j => $v) {
        run($db, 'INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)', [$first + $j, $v, 'php']);
    }
    run($db, 'UPDATE accounts SET v = v + ? WHERE id = ?', [1, $first + 1]);
    equal('in transaction', total($db, $first), 30);
    $db->$finish();
    equal('after transaction', total($db, $first), 30 * (1 - $i));
}
done();
