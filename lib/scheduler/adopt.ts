/**
 * Finds the instances that a former agent of this host left alive, by their sockets, and takes them over. It runs in
 * the agent: once at its start, and again and again until those that were booting then have come to listen.
 */
import type { Clock, Timer } from '../support/clock';
import { describe } from '../support/errors';
import { isSidecar, type HostDirectory } from '../support/host_directory';
import type { HostLog } from '../support/host_environment';
import { isAlive, killGroup } from '../support/host_process';
import type { InstanceReady } from '../protocol/control';
import { addressOf } from './boot';
import { LiveInstance, type InstanceListener } from './live_instance';

/** Milliseconds between two looks. */
const LOOK_MS = 500;

export interface AdoptionOptions {
  readonly directory: HostDirectory;
  readonly clock: Clock;
  readonly log: HostLog;
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
  #timer: Timer | undefined;

  constructor(options: AdoptionOptions) {
    this.#options = options;
  }

  /** Asks every instance whose socket is there and that is not known. Resolves once all have answered, or will not. */
  async look(): Promise<void> {
    const { directory, isKnown } = this.#options;
    const ids = directory.instanceIds().filter((id) => !isKnown(id) && !this.#asked.has(id));
    await Promise.all(ids.map((id) => this.#ask(id)));
  }

  /**
   * Goes on looking for `forMs`: what was launching when the former agent died becomes ready later. What was not
   * adopted by then, by when it would have drained by itself, is ended.
   */
  watch(forMs: number): void {
    const { clock, log } = this.#options;
    const until = clock.now() + forMs;
    this.#timer = clock.every(LOOK_MS, () => {
      if (clock.now() <= until) return void this.look().catch((error: unknown) => log.warn(describe(error)));
      this.stop();
      this.#endOthers();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Blocked as they are, nobody would ever end them otherwise. */
  #endOthers(): void {
    const { directory, isKnown } = this.#options;
    for (const [id, noted] of directory.notedProcesses()) {
      if (isSidecar(id) || isKnown(id)) continue;
      if (isAlive(noted)) killGroup(noted.pid);
      directory.removeInstance(id);
    }
  }

  async #ask(id: string): Promise<void> {
    const { directory, clock, listener, log, take } = this.#options;
    this.#asked.add(id);
    try {
      const { instance, ready } = await LiveInstance.adopted(addressOf(directory, id), directory.token(`control:${id}`), clock, listener);
      // It may have ended in between, and has said so when nobody knew of it yet.
      if (instance.isEnded) directory.removeInstance(id);
      else take(instance, ready);
    } catch (error) {
      log.debug(`instance ${id} of a former agent does not answer: ${describe(error)}`);
      // One that lives is busy, or not listening yet: the next look asks again. What a dead one left is of no use.
      const noted = directory.notedProcesses().get(id);
      if (noted === undefined || !isAlive(noted)) directory.removeInstance(id);
    } finally {
      this.#asked.delete(id);
    }
  }
}
