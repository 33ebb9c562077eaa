<?php
// What the programs of both PHP libraries share: the account of the checks, and what they expect.

const TITLE = 'größe 🐬';
const BODY = "it's \\ \"quoted\"\n";
const KINDS = [
    'i8' => '-128', 'i16' => '32767', 'i32' => '-2147483648', 'i64' => '9223372036854775807', 'u64' => '18446744073709551615',
    'd' => '1234567890.1234', 'f' => '1.5', 'r' => '0.1', 'day' => '2024-02-29', 'moment' => '2024-02-29 23:59:58.123456',
    'span' => '-12:34:56.789', 'y' => '2024', 'word' => 'Grüße', 'words' => 'naïve 日本 🐬', 'bin' => "\x00\xff\x80",
    'choice' => 'green', 'several' => 'a,c', 'doc' => '{"k": [1, 2]}', 'nothing' => null,
];

$count = 0;

function equal(string $what, mixed $got, mixed $want): void
{
    global $count;
    if ($got !== $want) {
        fwrite(STDERR, "$what: got " . substr(var_export($got, true), 0, 200) . ', want ' . substr(var_export($want, true), 0, 200) . "\n");
        exit(1);
    }
    $count++;
}

// The row of kinds, whose numbers libraries give as numbers or as text.
function kinds(array $row): void
{
    foreach (KINDS as $name => $want) {
        equal($name, $row[$name] === null ? null : (string) $row[$name], $want);
    }
}

function large(): string
{
    return str_repeat('0123456789ä', 500_000);
}

function done(): void
{
    global $count;
    echo "ok $count checks\n";
}
