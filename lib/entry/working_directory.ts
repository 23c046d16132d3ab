/**
 * A directory for what a process needs while it does one thing. Whoever starts the process makes and removes it, so that
 * it goes even where the process is killed half way. Runs in the agent, and where snapshots are built.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Short, since it may hold sockets: below a host's directory, their paths are no longer than those of instances. */
const PREFIX = 'carton-';

/** Settles as `use` does. */
export async function inWorkingDirectory<T>(parent: string, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(parent, PREFIX));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
