/**
 * Finds the instances that a former agent of this host left alive, by their sockets, and takes them over. It runs in
 * the agent: once at its start, and again and again until those that were booting then have come to listen.
 */
import type { Clock } from '../support/clock';
import type { HostDirectory } from '../support/host_directory';
import { isAlive, killGroup } from '../support/host_process';
import type { InstanceReady } from '../protocol/control';
import { LiveInstance, type InstanceListener } from './live_instance';

export interface AdoptionOptions {
  readonly directory: HostDirectory;
  readonly clock: Clock;
  readonly listener: InstanceListener;
  /** Whether the scheduler has an instance of this id already. */
  readonly isKnown: (id: string) => boolean;
  /** Takes over what answered. */
  readonly take: (instance: LiveInstance, ready: InstanceReady) => void;
}

export class Adoption {
  readonly #options: AdoptionOptions;
  /** Ids that were asked and have not answered yet: a busy one may take seconds. */
  readonly #asked = new Set<string>();

  constructor(options: AdoptionOptions) {
    this.#options = options;
  }

  /** Asks every instance whose socket is there and that is not known. Resolves once all have answered, or will not. */
  async look(): Promise<void> {
    const { directory, isKnown } = this.#options;
    const ids = directory.instanceIds().filter((id) => !isKnown(id) && !this.#asked.has(id));
    await Promise.all(ids.map((id) => this.#ask(id)));
  }

  /** Ends what lives and was not adopted by now: it is blocked, and nobody would ever end it otherwise. */
  endOthers(): void {
    const { directory, isKnown } = this.#options;
    for (const [id, noted] of directory.notedProcesses()) {
      if (isKnown(id)) continue;
      if (isAlive(noted)) killGroup(noted.pid);
      directory.removeInstance(id);
    }
  }

  async #ask(id: string): Promise<void> {
    const { directory, clock, listener, take } = this.#options;
    const address = {
      id,
      socketPath: directory.instanceSocket(id),
      recordPath: directory.recordPath(id),
      callToken: directory.token(`call:${id}`),
    };
    this.#asked.add(id);
    try {
      const { instance, ready } = await LiveInstance.adopted(address, directory.token(`control:${id}`), clock, listener);
      // It may have ended in between, and has said so when nobody knew of it yet.
      if (instance.isEnded) directory.removeInstance(id);
      else take(instance, ready);
    } catch {
      // One that lives is busy, or not listening yet: the next look asks again. What a dead one left is of no use.
      const noted = directory.notedProcesses().get(id);
      if (noted === undefined || !isAlive(noted)) directory.removeInstance(id);
    } finally {
      this.#asked.delete(id);
    }
  }
}
