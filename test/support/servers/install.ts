/**
 * Finds the programs of a real server, and installs their Debian package when they are missing.
 * It runs in the test process, and keeps true that a test is never skipped in silence: a program
 * is found, or is installed after saying so, or an error gives the exact line to run.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { INSTALL_LOCK, INSTALL_LOCK_WAIT_SECONDS, INSTALL_LOG, installWithApt } from './apt';
import { assertNothingStarted, listServices } from './services';

/** A Debian package, and the programs wanted from it: each with the names it may go by, the preferred first. */
export interface ServerPackage<Key extends string> {
  readonly apt: string;
  readonly programs: Readonly<Record<Key, readonly string[]>>;
}

/**
 * Returns the absolute path of each program of the package, installing the package if one is missing.
 * `CARTON_TEST_INSTALL=0` forbids the installation; so does not being root, or having no apt-get.
 */
export async function ensurePrograms<Key extends string>(wanted: ServerPackage<Key>): Promise<Record<Key, string>> {
  await waitForRunningInstall();
  const before = findPrograms(wanted);
  if (before.missing.length === 0) return before.found;

  const because = `${before.missing.join(' and ')} not found on PATH`;
  const refusal = whyNotInstall();
  if (refusal) throw new Error(`${wanted.apt} is needed: ${because}, and ${refusal}. Run: ${installLine(wanted)}`);
  await install(wanted, because);

  const after = findPrograms(wanted);
  if (after.missing.length === 0) return after.found;
  throw new Error(`${wanted.apt} was installed, and still ${after.missing.join(' and ')} not found on PATH (${process.env.PATH})`);
}

async function install(wanted: ServerPackage<string>, because: string): Promise<void> {
  process.stderr.write(`installing ${wanted.apt} with apt-get because ${because} (CARTON_TEST_INSTALL=0 forbids it; log: ${INSTALL_LOG})\n`);
  const names = Object.values(wanted.programs).flat();
  const servicesBefore = listServices(names);
  try {
    await installWithApt(wanted.apt);
  } catch (error) {
    throw new Error(`${wanted.apt} could not be installed. Run: ${installLine(wanted)}`, { cause: error });
  }
  assertNothingStarted(wanted.apt, servicesBefore, listServices(names));
  process.stderr.write(`installed ${wanted.apt}\n`);
}

/** A program appears on disk before its package is configured, so a look-up waits for an install under way. */
async function waitForRunningInstall(): Promise<void> {
  const flock = findProgram([ 'flock' ]);
  if (!flock || !existsSync(INSTALL_LOCK)) return;
  await promisify(execFile)(flock, [ '--shared', '--wait', String(INSTALL_LOCK_WAIT_SECONDS), INSTALL_LOCK, '/bin/true' ]);
}

function whyNotInstall(): string | undefined {
  if (process.env.CARTON_TEST_INSTALL === '0') return 'CARTON_TEST_INSTALL=0 forbids installing it';
  if (!existsSync('/etc/debian_version') || !findProgram([ 'apt-get' ])) return 'this is no Debian with apt-get (elsewhere, install the same server your own way)';
  if (process.getuid?.() !== 0) return 'only root can install it';
  return undefined;
}

function installLine(wanted: ServerPackage<string>): string {
  return `sudo apt-get install -y ${wanted.apt}`;
}

function findPrograms<Key extends string>(wanted: ServerPackage<Key>): { found: Record<Key, string>; missing: string[] } {
  const found: Partial<Record<Key, string>> = {};
  const missing: string[] = [];
  for (const key of Object.keys(wanted.programs) as Key[]) {
    const names = wanted.programs[key];
    const file = findProgram(names);
    if (file) found[key] = file;
    else missing.push(names.join(' or '));
  }
  // Complete whenever `missing` is empty, which is what the only caller asks first.
  return { found: found as Record<Key, string>, missing };
}

/** Debian keeps servers in `sbin`, which is not on an ordinary user's PATH: each `bin` stands for its `sbin` too. */
function findProgram(names: readonly string[]): string | undefined {
  const listed = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  const folders = listed.flatMap(folder => (path.basename(folder) === 'bin' ? [ folder, path.join(folder, '..', 'sbin') ] : [ folder ]));
  return names.flatMap(name => folders.map(folder => path.join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // Absent and forbidden are the same here: this file cannot be run.
  }
}
