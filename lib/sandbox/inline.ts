/**
 * The `inline` launcher: the instance runs in the calling process, on the application that is booted there, through
 * the same codec and the same frozen context. For unit tests, where the mocks of a test must apply to functions too.
 */
import { createServer, connect, type Socket } from 'node:net';
import { unlinkSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { InstanceBoot } from '../protocol/control';
import type { Launcher, Sandbox, SandboxExit } from './launcher';

/** Serves an instance on its end of a channel, in this process; `end` is to be called when it has ended. */
export type ServeInline = (channel: Duplex, end: (code: number) => void) => { drain(): void };

export class InlineLauncher implements Launcher {
  readonly status = { kind: 'inline', reason: null } as const;
  readonly #serve: ServeInline;

  constructor(serve: ServeInline) {
    this.#serve = serve;
  }

  async launch(boot: InstanceBoot): Promise<Sandbox> {
    const [near, far] = await socketPair(`${boot.socketPath}.c`);
    let instance: { drain(): void } | undefined;
    const exited = new Promise<SandboxExit>((resolve) => {
      instance = this.#serve(far, (code) => resolve({ code, signal: null }));
    });
    return { pid: process.pid, channel: near, exited, kill: () => instance?.drain() };
  }

  replenish(): void {
    // Inline instances run the application as it is; nothing is booted ahead of time.
  }

  refresh(): void {
    // As above.
  }

  async close(): Promise<void> {
    // Nothing is kept.
  }
}

/** Two connected sockets, by way of a path that is gone when this resolves. */
async function socketPair(path: string): Promise<[Socket, Socket]> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect(path);
  const far = await accepted;
  server.close();
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return [near, far];
}
