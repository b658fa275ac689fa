<?php
// Installs MediaWiki by its own installer in a database of its own, and edits, searches and lists pages by its own maintenance scripts; see
// stack.go for the contract of these scripts.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_NOTICE & ~E_WARNING);

const DB = 'everyday_mediawiki';
$wiki = __DIR__ . '/apps/usr/share/mediawiki';
$address = getenv('STELE_HOST') . ':' . getenv('STELE_PORT');
$user = getenv('STELE_USER');
$password = getenv('STELE_PASSWORD');
$settings = sys_get_temp_dir() . '/stele-mediawiki-' . getmypid();
mkdir($settings);

// run runs a maintenance script with a text as its input, and returns what it prints.
function run(string $script, array $args, string $input = ''): string
{
	global $wiki;
	$in = tmpfile();
	fwrite($in, $input);
	rewind($in);
	$p = proc_open([PHP_BINARY, "$wiki/maintenance/$script.php", ...$args], [0 => $in, 1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
	$out = stream_get_contents($pipes[1]);
	$failed = proc_close($p);
	if ($failed) {
		throw new Exception("$script: " . preg_replace('/\s+/', ' ', substr($out, 0, 2000)));
	}
	return $out;
}

function answers(string $case, $want, callable $f)
{
	try {
		$got = $f();
	} catch (Throwable $t) {
		$got = $t->getMessage();
	}
	echo $got === $want ? "pass $case\n" : "FAIL $case: got " . json_encode($got) . ', want ' . json_encode($want) . "\n";
}

$db = mysqli_connect(getenv('STELE_HOST'), $user, $password, '', (int) getenv('STELE_PORT'));
$db->query('DROP DATABASE IF EXISTS ' . DB);
$conf = ['--conf', "$settings/LocalSettings.php"];
answers('install', true, fn () => str_contains(run('install', ['--dbtype', 'mysql', '--dbserver', $address, '--dbname', DB, '--dbuser', $user, '--dbpass', $password,
	'--installdbuser', $user, '--installdbpass', $password, '--server', 'http://localhost', '--scriptpath', '', '--lang', 'en', '--pass', 'long-secret-9',
	'--confpath', $settings, 'Wiki', 'Admin']), 'successfully set up'));
// edit saves a page and updates what is derived from it.
$edit = fn (string $title, string $text) => run('edit', [...$conf, '-u', 'Admin', '-s', 'summary', $title], $text);
answers('edit', true, function () use ($edit) {
	$all = '';
	foreach (['Crab' => "A crab [[Sea|lives]] in water. [[Category:Animals]]", 'Fox' => "The quick brown fox. [[Crab]] [[Category:Animals]]",
		'Zoë' => "Fox and crab, crab, crab 🦀", 'Gone' => 'fox'] as $title => $text) {
		$all .= $edit($title, $text);
	}
	return substr_count($all, 'done') === 4;
});
answers('edit_again', true, fn () => str_contains($edit('Fox', 'The quick red fox. [[Crab]] [[Category:Animals]]'), 'done'));
answers('text', 'The quick red fox. [[Crab]] [[Category:Animals]]', fn () => trim(run('getText', [...$conf, 'Fox'])));
answers('delete', true, fn () => run('deleteBatch', [...$conf, '-u', 'Admin'], "Gone\n") !== '');
answers('jobs', true, fn () => is_string(run('runJobs', $conf)));
answers('rebuild', true, fn () => is_string(run('rebuildtextindex', $conf)) && is_string(run('refreshLinks', $conf)));
// search asks as Special:Search does.
$search = fn (string $what) => json_decode(run('eval', $conf, '$e = MediaWiki\MediaWikiServices::getInstance()->newSearchEngine(); $e->setLimitOffset(9); $t = [];'
	. ' foreach ($e->searchText(' . var_export($what, true) . ') as $r) { $t[] = $r->getTitle()->getText(); } sort($t); echo json_encode($t), "\n";'), true);
answers('search', ['Fox', 'Zoë'], fn () => $search('fox'));
answers('search_without', ['Fox'], fn () => $search('fox -crab quick'));
answers('search_beginnings', ['Fox'], fn () => $search('quic*'));
answers('category', '2', fn () => $db->query('SELECT cat_pages FROM ' . DB . ".category WHERE cat_title = 'Animals'")->fetch_row()[0]);
answers('update', true, fn () => str_contains(run('update', [...$conf, '--quick']), 'Done in'));
array_map('unlink', glob("$settings/*"));
rmdir($settings);
$db->query('DROP DATABASE ' . DB);
echo "ok\n";
