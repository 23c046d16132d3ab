/**
 * A program for templates under test: its template fails in the way that it is told, its forks do what they are told.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Fork } from '../../../lib/fork/program';

export interface Warm {
  /** File for the template's pid. */
  readonly pidFile?: string;
  readonly fails?: 'throws' | 'hangs' | 'spins' | 'exits' | 'is killed';
  readonly name?: string;
}

/** `talks`: says what it is and obeys. `spins`: says so and never looks at anything again. `floods`: much, then exits with 7. */
export type Conduct = 'talks' | 'spins' | 'floods' | 'starts another';

export function warm({ pidFile, fails, name }: Warm, inherited: unknown): Promise<unknown> | unknown {
  if (pidFile !== undefined) writeFileSync(pidFile, String(process.pid));
  switch (fails) {
    case 'throws':
      throw new RangeError('it was told to');
    case 'hangs':
      setInterval(() => undefined, 1000);
      return new Promise(() => undefined);
    case 'spins':
      for (;;);
    case 'exits':
      return process.exit(9);
    case 'is killed':
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => undefined);
    case undefined:
      return [...((inherited as string[] | undefined) ?? []), name];
  }
}

export function run({ channel, argument }: Fork, state: unknown): void {
  const { conduct = 'talks' } = argument as { conduct?: Conduct };
  channel.on('error', () => undefined);
  if (conduct === 'floods') return void channel.write(Buffer.alloc(3_000_000), () => process.exit(7));
  const other = conduct === 'starts another' ? spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).pid : undefined;
  channel.write(JSON.stringify({ pid: process.pid, state, argument, other }), () => {
    if (conduct === 'spins') for (;;);
  });
  channel.on('data', (order: Buffer) => {
    const [verb, value = ''] = order.toString().split(' ');
    if (verb === 'exit') process.exit(Number(value));
    if (verb === 'signal') process.kill(process.pid, value);
    if (verb === 'say') channel.write(value);
  });
}
