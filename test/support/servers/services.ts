/**
 * Lists the servers running on this machine that no test started, read from `/proc` by the test
 * process. It keeps true that installing a package for a test leaves no service running.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { DIRECTORY_PREFIX } from './guarded_directory';

/** Process name by process id. */
export type Services = ReadonlyMap<number, string>;

/** Running processes with one of these program names; servers of tests are told by their working directory. */
export function listServices(names: readonly string[]): Services {
  const services = new Map<number, string>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const name = readProcess(pid);
    if (name && names.includes(name)) services.set(pid, name);
  }
  return services;
}

/** Throws when `after` has a process that `before` had not. */
export function assertNothingStarted(packageName: string, before: Services, after: Services): void {
  const started = [ ...after ].filter(([ pid ]) => !before.has(pid)).map(([ pid, name ]) => `${name} (process ${pid})`);
  if (started.length === 0) return;
  throw new Error(`installing ${packageName} was to start no service, and left ${started.join(', ')} running; stop it and disable the service`);
}

/** The name of a process, or undefined when it is a test's, is a zombie, or ended while we looked. */
function readProcess(pid: number): string | undefined {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`).includes(DIRECTORY_PREFIX)) return undefined;
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch (error) {
    // Processes come and go during the walk; zombies and kernel threads have no readable directory.
    if (isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH' || error.code === 'EACCES');
}
