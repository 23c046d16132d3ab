/**
 * Stands in for Egg's agent in a function process. Egg's single mode wants an agent beside the application: it closes
 * it, and its local messenger delivers to it. A real one would cost a second loading of every plugin and would do the
 * work of the host's agent again (timers of schedules, rotation of logs), so this one only listens and answers nothing.
 */
import type { EggApplication, EggMessenger } from './egg_types';

type MessengerClass = new (egg: unknown) => EggMessenger;

export class StubAgent {
  readonly type = 'agent';
  readonly application: EggApplication;
  #messenger: EggMessenger | undefined;

  constructor(application: EggApplication) {
    this.application = application;
  }

  /** Egg's own local messenger, so that every way of sending works; what is sent to the agent meets no listener. */
  get messenger(): EggMessenger {
    // Made at first use: the application has no messenger yet when the stub is put on it.
    this.#messenger ??= new (this.application.messenger.constructor as MessengerClass)(this);
    return this.#messenger;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#messenger?.close();
    return Promise.resolve();
  }
}
