<?php
// Installs WordPress in a database of its own and uses it as its pages and plugins do; see stack.go for the contract of these scripts.
// A case fails when it does not answer what MySQL has it answer, and when any of its statements ends in an error.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_NOTICE & ~E_WARNING);

const DB = 'everyday_wordpress';
$installs = ($argv[1] ?? '') === 'install';
$address = getenv('STELE_HOST') . ':' . getenv('STELE_PORT');

if (!$installs) {
	$db = mysqli_connect(getenv('STELE_HOST'), getenv('STELE_USER'), getenv('STELE_PASSWORD'), '', (int) getenv('STELE_PORT'));
	$db->query('DROP DATABASE IF EXISTS ' . DB);
	$db->query('CREATE DATABASE ' . DB);
	passthru(PHP_BINARY . ' ' . escapeshellarg(__FILE__) . ' install', $failed);
	if ($failed) {
		exit(1);
	}
}

define('ABSPATH', __DIR__ . '/apps/usr/share/wordpress/');
foreach (['DB_NAME' => DB, 'DB_USER' => getenv('STELE_USER'), 'DB_PASSWORD' => getenv('STELE_PASSWORD'), 'DB_HOST' => $address, 'DB_CHARSET' => 'utf8mb4',
	'DB_COLLATE' => '', 'SAVEQUERIES' => true, 'DISABLE_WP_CRON' => true, 'WP_HTTP_BLOCK_EXTERNAL' => true, 'WP_SITEURL' => 'http://localhost',
	'WP_HOME' => 'http://localhost', 'WP_DEBUG' => false] as $name => $value) {
	define($name, $value);
}
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
	define($name . '_KEY', 'k');
	define($name . '_SALT', 's');
}
$_SERVER += ['HTTP_HOST' => 'localhost', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_URI' => '/', 'REQUEST_METHOD' => 'GET', 'REMOTE_ADDR' => '127.0.0.1'];
$table_prefix = 'wp_';
define($installs ? 'WP_INSTALLING' : 'WP_ADMIN', true);
function wp_mail() { return true; }
require ABSPATH . 'wp-settings.php';
require_once ABSPATH . 'wp-admin/includes/admin.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

$wpdb->suppress_errors(true);
$sqlErrors = [];
add_filter('log_query_custom_data', function ($data, $query) use ($wpdb, &$sqlErrors) {
	if ($error = mysqli_error($wpdb->dbh)) {
		$sqlErrors[] = $error . ' in ' . preg_replace('/\s+/', ' ', $query);
	}
	return $data;
}, 10, 2);

// answers runs a case: it must return what is wanted, and no statement may fail but those that match may.
function answers(string $case, $want, callable $f, string $may = '')
{
	global $sqlErrors;
	$sqlErrors = [];
	try {
		$got = $f();
	} catch (Throwable $t) {
		$got = get_class($t) . ' ' . $t->getMessage();
	}
	if ($got instanceof WP_Error) {
		$got = $got->get_error_message();
	}
	$bad = array_filter($sqlErrors, fn ($e) => $may === '' || !str_contains($e, $may));
	if ($bad) {
		echo "FAIL $case: " . reset($bad) . "\n";
	} elseif ($got !== $want) {
		echo "FAIL $case: got " . json_encode($got) . ', want ' . json_encode($want) . "\n";
	} else {
		echo "pass $case\n";
	}
}

function titles(array $query): array
{
	return array_map(fn ($p) => $p->post_title, (new WP_Query($query))->posts);
}

function found(array $query): int
{
	return (new WP_Query($query + ['posts_per_page' => 3]))->found_posts;
}

if ($installs) {
	answers('install', 1, fn () => wp_install('Stele', 'admin', 'a@example.com', true, '', 'secret')['user_id'], "doesn't exist in DESCRIBE");
	exit(0);
}

wp_set_current_user(1);
$draft = 0;
answers('draft_has_zero_date', '0000-00-00 00:00:00', function () use (&$draft) {
	$draft = wp_insert_post(['post_title' => 'A draft', 'post_content' => 'crab 🦀', 'post_status' => 'draft'], true);
	return get_post($draft)->post_date_gmt;
});
answers('zero_dates_are_found', [(string) $draft], fn () => $wpdb->get_col("SELECT ID FROM $wpdb->posts WHERE post_date_gmt = '0000-00-00 00:00:00' AND post_status = 'draft'"));
$ids = [];
answers('posts', 20, function () use (&$ids) {
	for ($i = 0; $i < 20; $i++) {
		$ids[] = wp_insert_post(['post_title' => "Post $i", 'post_content' => "Content number $i with lorem ipsum", 'post_status' => 'publish', 'post_category' => [1],
			'tags_input' => ['t' . $i % 3, 'all'], 'meta_input' => ['price' => $i * 10, 'colour' => $i % 2 ? 'red' : 'blue'],
			'post_date' => sprintf('2024-01-%02d 10:00:00', $i + 1)], true);
	}
	return count(array_filter($ids, 'is_int'));
});
answers('search', ['Post 17', 'Post 7'], fn () => titles(['s' => 'number 7', 'orderby' => 'date']));
answers('search_counts', 20, fn () => found(['s' => 'lorem ipsum']));
answers('by_tag', 7, fn () => found(['tag' => 't1']));
answers('by_terms', 7, fn () => found(['tax_query' => ['relation' => 'AND', ['taxonomy' => 'post_tag', 'field' => 'slug', 'terms' => ['t1', 't2']],
	['taxonomy' => 'post_tag', 'field' => 'slug', 'terms' => ['t2'], 'operator' => 'NOT IN']]]));
answers('by_meta', ['Post 11', 'Post 9', 'Post 7', 'Post 5'], fn () => titles(['meta_query' => ['relation' => 'AND',
	'p' => ['key' => 'price', 'value' => [50, 120], 'type' => 'NUMERIC', 'compare' => 'BETWEEN'], 'c' => ['key' => 'colour', 'value' => 'red']], 'orderby' => ['p' => 'DESC']]));
answers('without_meta', 2, fn () => found(['meta_query' => [['key' => 'price', 'compare' => 'NOT EXISTS']]]));
answers('by_date', 11, fn () => found(['date_query' => [['after' => '2024-01-10', 'before' => '2024-01-20', 'inclusive' => true]]]));
answers('by_parts_of_date', 20, fn () => found(['date_query' => [['year' => 2024, 'month' => 1, 'hour' => 10]]]));
answers('by_week', 7, fn () => found(['w' => 2, 'year' => 2024]));
answers('archives', true, fn () => str_contains(wp_get_archives(['echo' => 0, 'show_post_count' => 1]), '(20)') && wp_get_archives(['echo' => 0, 'type' => 'weekly']) != '');
answers('comments', [2, 1, 1], function () use ($ids) {
	$c = wp_insert_comment(['comment_post_ID' => $ids[3], 'comment_content' => 'Nice 🦀', 'comment_author' => 'Zoë', 'comment_approved' => 1]);
	wp_insert_comment(['comment_post_ID' => $ids[3], 'comment_content' => 'Thanks', 'comment_parent' => $c, 'user_id' => 1, 'comment_approved' => 0]);
	$counts = [get_comments(['post_id' => $ids[3], 'count' => true]), get_comments(['search' => 'Nice', 'count' => true])];
	wp_spam_comment($c);
	$counts[] = wp_count_comments()->spam;
	return $counts;
});
answers('users', [1, 2, true], function () {
	wp_insert_user(['user_login' => 'zoe', 'user_pass' => 'x', 'user_email' => 'zoe@example.com', 'display_name' => 'Zoë', 'role' => 'editor']);
	return [(new WP_User_Query(['role__in' => ['editor'], 'search' => '*zo*', 'orderby' => 'post_count']))->get_total(), count_users()['total_users'],
		wp_authenticate('zoe', 'x') instanceof WP_User];
});
answers('options', [true, true, false, '1'], fn () => [update_option('mine', ['a' => str_repeat('é', 300)]), add_option('once', '1'), add_option('once', '2'), get_option('once')]);
answers('expired_transients', [true, '0'], function () use ($wpdb) {
	set_transient('gone', 'v', 60);
	update_option('_transient_timeout_gone', time() - 10);
	delete_expired_transients(true);
	return [get_transient('gone') === false, $wpdb->get_var("SELECT COUNT(*) FROM $wpdb->options WHERE option_name LIKE '%transient%gone'")];
});
answers('terms', ['all20', 't07', 't17', 't26'], fn () => array_map(fn ($t) => $t->name . $t->count, get_terms(['taxonomy' => 'post_tag'])));
answers('revisions', [1, 'Changed'], fn () => [count(wp_get_post_revisions(wp_update_post(['ID' => $ids[0], 'post_title' => 'Changed']))), get_post($ids[0])->post_title]);
answers('trash', ['trash', true, null], fn () => [get_post(wp_trash_post($ids[4])->ID)->post_status, wp_delete_post($ids[4], true)->ID === $ids[4], get_post($ids[4])]);
$orders = fn (string $status, string $more) => "CREATE TABLE {$wpdb->prefix}orders (
  id bigint(20) unsigned NOT NULL auto_increment,
  status varchar(20) NOT NULL default '$status',
  total decimal(26,8) NULL,
  created datetime NOT NULL default '0000-00-00 00:00:00',
  note longtext,
$more  PRIMARY KEY  (id),
  KEY status (status),
  KEY note (note(100))
) {$wpdb->get_charset_collate()};";
answers('plugin_table', ['Created table wp_orders'], fn () => array_values(dbDelta($orders('', ''))), "doesn't exist in DESCRIBE");
answers('plugin_table_changes', ['wp_orders.status', 'wp_orders.extra'], fn () => array_keys(dbDelta($orders('new', "  extra int NOT NULL default 0,\n"))));
answers('plugin_rows', [1, 'new', '0000-00-00 00:00:00', 1, 1], fn () => [$wpdb->insert($wpdb->prefix . 'orders', ['total' => 1.5]), $wpdb->get_var("SELECT status FROM {$wpdb->prefix}orders"),
	$wpdb->get_var("SELECT created FROM {$wpdb->prefix}orders"), $wpdb->update($wpdb->prefix . 'orders', ['status' => 'z'], ['id' => 1]), $wpdb->delete($wpdb->prefix . 'orders', ['id' => 1])]);
answers('upgrade', true, function () {
	global $wp_current_db_version;
	update_option('db_version', $wp_current_db_version = 40000);
	wp_upgrade();
	return get_option('db_version') > 40000;
}, "doesn't exist");
$db->query('DROP DATABASE ' . DB);
echo "ok\n";
