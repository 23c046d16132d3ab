/**
 * Finds the instances that a former agent of this host left alive, by their sockets.
 */
import type { Clock } from '../support/clock';
import { codeOf } from '../support/errors';
import type { HostDirectory } from '../support/host_directory';
import type { InstanceReady } from '../protocol/control';
import { LiveInstance, type InstanceListener } from './live_instance';

export interface Adopted {
  readonly instance: LiveInstance;
  readonly ready: InstanceReady;
}

/** Connects to every instance whose socket is there, but for the `known` ones. The sockets of dead ones are removed. */
export async function adoptAll(directory: HostDirectory, known: ReadonlySet<string>, clock: Clock, listener: InstanceListener): Promise<Adopted[]> {
  const ids = directory.instanceIds().filter((id) => !known.has(id));
  const found = await Promise.all(ids.map((id) => adoptOne(directory, id, clock, listener)));
  return found.filter((entry) => entry !== undefined);
}

async function adoptOne(directory: HostDirectory, id: string, clock: Clock, listener: InstanceListener): Promise<Adopted | undefined> {
  const address = {
    id,
    socketPath: directory.instanceSocket(id),
    recordPath: directory.recordPath(id),
    callToken: directory.token(`call:${id}`),
  };
  try {
    return await LiveInstance.adopted(address, directory.token(`control:${id}`), clock, listener);
  } catch (error) {
    const system = (error as NodeJS.ErrnoException).code;
    if (system === 'ECONNREFUSED' || system === 'ENOENT' || codeOf(error) !== undefined) directory.removeInstance(id);
    else throw error;
    return undefined;
  }
}
