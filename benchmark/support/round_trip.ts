/**
 * How long a message takes to another process and back, over a unix socket and with nothing done there: what no call to
 * another process can be faster than. It differs by a factor of four with the hour on a shared machine.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { quantile } from './statistics';

const ECHO = 'require("node:net").createServer((socket) => socket.pipe(socket)).listen(process.argv[1], () => process.stdout.write("."))';
const MESSAGE = Buffer.alloc(64);

/** Microseconds, p50. */
export async function roundTripMicros(count: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'ec-echo-'));
  const child = spawn(process.execPath, ['-e', ECHO, join(directory, 's')], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const socket = connect(join(directory, 's'));
    await once(socket, 'connect');
    const micros: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const at = process.hrtime.bigint();
      socket.write(MESSAGE);
      await once(socket, 'data');
      micros.push(Number(process.hrtime.bigint() - at) / 1_000);
    }
    socket.destroy();
    return quantile(micros, 0.5);
  } finally {
    child.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}
