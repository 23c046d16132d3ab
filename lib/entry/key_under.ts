/**
 * The key of processes that are started with other flags than this one. Runs in the agent and in the command line.
 */
import { execFileSync } from 'node:child_process';
import type { ProcessKey } from '../snapshot/key';

/** V8's tag depends on flags in ways that only V8 knows, so a process that has them is asked: about 60 ms. */
export function processKeyUnder(flags: readonly string[]): ProcessKey {
  const program = `process.stdout.write(JSON.stringify(require(${JSON.stringify(require.resolve('../snapshot/key'))}).processKey()))`;
  return JSON.parse(execFileSync(process.execPath, [...flags, '-e', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })) as ProcessKey;
}
