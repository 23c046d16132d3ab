/**
 * How a fork of an application's template comes to be an instance: its socket listens before it is there, so that
 * workers can connect meanwhile, and its boot goes with it. Runs in the agent.
 */
import { rmSync } from 'node:fs';
import { forker } from '../fork/native';
import { PAYLOAD_LIMIT } from '../fork/control';
import type { ForkedProcess, Template } from '../fork/template';
import { CartonError, codeOf, describe } from '../support/errors';
import type { InstanceBoot } from '../protocol/control';
import type { ForksAhead } from './forks_ahead';
import type { Sandbox } from './launcher';

/** Of a frame, what goes around the boot in it. */
const AROUND_BYTES = 1024;

/** Rejects as `Template.fork` does, and with `CARTON_INSTANCE_LAUNCH_FAILED`. */
export async function forkInstance(template: Template, boot: InstanceBoot, ahead: ForksAhead | undefined): Promise<Sandbox> {
  // A boot that is too large is told on the channel, as to a process that was spawned.
  if (Buffer.byteLength(JSON.stringify(boot)) > PAYLOAD_LIMIT - AROUND_BYTES) return template.fork(null);
  const listener = listenAt(boot.socketPath);
  try {
    return { ...(beginAhead(ahead, boot, listener) ?? (await template.fork(boot, [listener]))), hasBoot: true };
  } catch (error) {
    rmSync(boot.socketPath, { force: true });
    throw error;
  } finally {
    forker().close(listener);
  }
}

/** It is not to serve after all. What it was to serve may be another process's at once. */
export function dropInstance(sandbox: Sandbox, { socketPath }: InstanceBoot): void {
  sandbox.kill();
  rmSync(socketPath, { force: true });
}

/** Undefined where none waits. */
function beginAhead(ahead: ForksAhead | undefined, boot: InstanceBoot, listener: number): ForkedProcess | undefined {
  for (let fork = ahead?.take(); fork !== undefined; fork = ahead?.take()) {
    try {
      return fork.begin(boot, [listener]);
    } catch (error) {
      fork.kill();
      if (codeOf(error) !== 'CARTON_FORK_ENDED') throw error;
    }
  }
  return undefined;
}

function listenAt(path: string): number {
  try {
    return forker().listenAt(path);
  } catch (cause) {
    throw new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { expected: `a socket at ${path}`, got: describe(cause), cause });
  }
}
