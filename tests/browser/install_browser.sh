#!/usr/bin/env bash
# Makes sure that a Chromium is there for the browser tests; does nothing when one is.
set -euo pipefail
cd "$(dirname "$0")/../.."

if .venv/bin/python -m tests.browser.find_browser >/dev/null 2>&1; then
  exit 0
fi

echo "Installing Chromium for the browser tests (once) …"
as_root=""
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then as_root="sudo"; fi
if command -v apt-get >/dev/null && ! grep -qi '^ID=ubuntu' /etc/os-release; then
  $as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq chromium fonts-dejavu-core >/dev/null
else
  # Ubuntu's chromium package is a snap; Playwright brings a plain build.
  $as_root .venv/bin/python -m playwright install --with-deps chromium
fi
.venv/bin/python -m tests.browser.find_browser
