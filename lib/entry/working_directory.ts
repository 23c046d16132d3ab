/**
 * A directory for what a process needs while it does one thing. Whoever starts the process makes and removes it, so that
 * it goes even where the process is killed half way. Runs in the agent, and where snapshots are built.
 */
import { mkdtempSync, rmSync } from 'node:fs';

/** Settles as `use` does. The directory's path is `prefix` and six characters. */
export async function inWorkingDirectory<T>(prefix: string, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(prefix);
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
