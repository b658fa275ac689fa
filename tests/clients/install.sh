#!/bin/sh
# Installs the client stacks that tests/clients runs (Debian packages and one npm module), and unpacks WordPress and MediaWiki. What is missing is only
# skipped by the tests, so any part of this may be left out.
set -eu
cd "$(dirname "$0")"

packages="mariadb-client mariadb-server python3-pymysql python3-sqlalchemy php-cli php-mysql php-intl php-mbstring php-xml libmariadb-java default-jdk-headless nodejs chromium"
missing=""
for p in $packages; do
	case $p in
	mariadb-client) command -v mariadb >/dev/null || missing="$missing $p" ;;
	mariadb-server) command -v mariadbd >/dev/null || missing="$missing $p" ;;
	php-cli) command -v php >/dev/null || missing="$missing $p" ;;
	default-jdk-headless) command -v javac >/dev/null || missing="$missing $p" ;;
	chromium) command -v chromium >/dev/null || missing="$missing $p" ;;
	nodejs) command -v node >/dev/null || missing="$missing $p" ;;
	*) dpkg -s "$p" >/dev/null 2>&1 || missing="$missing $p" ;;
	esac
done
if [ -n "$missing" ]; then
	sudo=""
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -q
	# shellcheck disable=SC2086 # a list of packages
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi
# Unpacked and not installed: the packages would bring a web server along.
unpack() {
	mkdir -p apps
	(cd apps && apt-get download -q "$@" && for p in ./*.deb; do dpkg-deb -x "$p" . && rm "$p" || exit 1; done)
}
[ -e apps/usr/share/wordpress/wp-settings.php ] || unpack wordpress php-getid3 || echo "no WordPress: its tests will be skipped"
[ -e apps/usr/share/mediawiki/maintenance/install.php ] || unpack mediawiki mediawiki-classes || echo "no MediaWiki: its tests will be skipped"
command -v npm >/dev/null && npm ci --no-audit --no-fund
