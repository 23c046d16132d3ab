/**
 * Installs one Debian package, as root, on behalf of the test process. It keeps true that no
 * system service is started (a policy-rc.d that denies stands in for the machine's own, which is
 * put back), that installers of several test processes take turns, and that an install goes on to
 * its end, policy restored, though the test process be killed: half-configured packages are worse.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';

/** Held while a package is being installed. In `/run`, where only root can put something in its place. */
export const INSTALL_LOCK = '/run/carton-test-install.lock';

/** The whole output of the newest install. A file rather than a pipe, which would break with the test process. */
export const INSTALL_LOG = '/var/log/carton-test-install.log';

/** Long enough for two installs over a slow line; the wait of apt for its own lock is part of an install. */
export const INSTALL_LOCK_WAIT_SECONDS = 900;

const LOG_TAIL_LINES = 20;

/**
 * `$1` is the package, `$2` the log. RUNLEVEL=1 would be simpler than the policy file, but only
 * invoke-rc.d heeds it; deb-systemd-invoke asks policy-rc.d alone. What a killed install left
 * behind is recognised by the saved file or by the marker, and put right first. A failing update
 * is no end: lists already here may do, and apt has no wait for another's lock on the lists.
 */
const INSTALL_SCRIPT = `
set -eu
exec >"$2" 2>&1
policy=/usr/sbin/policy-rc.d
saved=$policy.before-carton-test
marker='# carton-test: starts no service while a test dependency is installed'
exists() { [ -e "$1" ] || [ -L "$1" ]; }
restore() { rm -f "$policy"; if exists "$saved"; then mv "$saved" "$policy"; fi; }
if exists "$saved" || grep -qsF "$marker" "$policy"; then restore; fi
trap restore EXIT
trap 'exit 1' HUP INT TERM
if exists "$policy"; then mv "$policy" "$saved"; fi
printf '#!/bin/sh\\n%s\\nexit 101\\n' "$marker" >"$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get update || echo 'apt-get update failed; going on with the lists already here'
apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"
`;

/** Installs the package named, without the packages it merely recommends; rejects with the end of the log. */
export async function installWithApt(packageName: string): Promise<void> {
  const turn = [ '--wait', String(INSTALL_LOCK_WAIT_SECONDS), INSTALL_LOCK ];
  const script = [ 'sh', '-c', INSTALL_SCRIPT, 'carton-test-install', packageName, INSTALL_LOG ];
  const child = spawn('flock', [ ...turn, ...script ], { detached: true, stdio: 'ignore' });
  const [ code, signal ] = (await once(child, 'exit')) as [ number | null, NodeJS.Signals | null ];
  if (code === 0) return;
  throw new Error(`installing ${packageName} ended with ${signal ?? `exit code ${code}`}; the end of ${INSTALL_LOG}:\n${logTail()}`);
}

function logTail(): string {
  if (!existsSync(INSTALL_LOG)) return '(no log was written)';
  return readFileSync(INSTALL_LOG, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
