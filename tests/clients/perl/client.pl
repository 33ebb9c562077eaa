# DBD::mysql on libmariadb: "text" puts parameters into the statements, "prepared" prepares them on the server.
use strict;
use warnings;
use utf8;
use DBI;

my $count = 0;

sub equal {
	my ($what, $got, $want) = @_;
	($got, $want) = map { defined $_ ? $_ : 'NULL' } $got, $want;
	utf8::encode($_) for grep { utf8::is_utf8($_) } my ($g, $w) = (substr($got, 0, 200), substr($want, 0, 200));
	die "$what: got $g, want $w\n" if $got ne $want;
	$count++;
}

sub connection {
	my $schema = shift;
	my $dsn = "DBI:mysql:database=$schema;host=$ENV{DB_HOST};port=$ENV{DB_PORT};mysql_server_prepare=" . ($ARGV[0] eq 'prepared' ? 1 : 0);
	return DBI->connect($dsn, $ENV{DB_USER}, $ENV{DB_PASSWORD}, { RaiseError => 1, PrintError => 0, mysql_enable_utf8mb4 => 1 });
}

my $db = connection($ENV{DB_PLAIN});
my %kinds = (
	i8 => -128, i16 => 32767, i32 => -2147483648, i64 => '9223372036854775807', u64 => '18446744073709551615', d => '1234567890.1234',
	f => 1.5, r => 0.1, day => '2024-02-29', moment => '2024-02-29 23:59:58.123456', span => '-12:34:56.789', y => 2024,
	word => 'Grüße', words => 'naïve 日本 🐬', bin => "\x00\xff\x80", choice => 'green', several => 'a,c', doc => '{"k": [1, 2]}', nothing => undef,
);
my $row = $db->selectrow_hashref('SELECT * FROM kinds WHERE id = ?', undef, 1);
equal($_, $row->{$_}, $kinds{$_}) for sort keys %kinds;

my ($title, $body) = ('größe 🐬', qq(it's \\ "quoted"\n));
$db->do('INSERT INTO notes (title, body, n) VALUES (?, ?, ?)', undef, $title, $body, 1);
my $id = $db->last_insert_id;
equal('insert id', $id > 0, 1);
equal('unicode', join('|', $db->selectrow_array('SELECT title, body FROM notes WHERE id = ?', undef, $id)), "$title|$body");
eval { $db->do('INSERT INTO notes (title) VALUES (?)', undef, $title) };
equal('duplicate', $db->err . ' ' . $db->state, '1062 23000');
equal('updated', $db->do('UPDATE notes SET n = n + ? WHERE id = ?', undef, 41, $id), 1);
my $large = '0123456789ä' x 500_000;
$db->do('UPDATE notes SET body = ? WHERE id = ?', undef, $large, $id);
equal('large', ($db->selectrow_array('SELECT body FROM notes WHERE id = ?', undef, $id))[0] eq $large, 1);
equal('deleted', $db->do('DELETE FROM notes WHERE id = ?', undef, $id), 1);
equal('ping', $db->ping, 1);

$db = connection($ENV{DB_SHARDED});
for my $i (0, 1) {
	my $first = $ENV{DB_BASE} + 2 * $i;
	my $total = sub {
		my $sum = 0;
		$sum += $_ for @{ $db->selectcol_arrayref('SELECT v FROM accounts WHERE id IN (?, ?)', undef, $first, $first + 1) };
		return $sum;
	};
	$db->begin_work;
	$db->do('INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)', undef, $first + $_, (10, 19)[$_], 'perl') for 0, 1;
	$db->do('UPDATE accounts SET v = v + ? WHERE id = ?', undef, 1, $first + 1);
	equal('in transaction', $total->(), 30);
	$i ? $db->rollback : $db->commit;
	equal('after transaction', $total->(), 30 * (1 - $i));
}
print "ok $count checks\n";
