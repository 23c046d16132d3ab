/**
 * What tests of launchers share: a fork launcher on a fake clock, over templates without processes that do as they are
 * told.
 */
import assert from 'node:assert/strict';
import { PAYLOAD_LIMIT } from '../../lib/fork/control';
import type { Template } from '../../lib/fork/template';
import type { InstanceBoot } from '../../lib/protocol/control';
import { ForkLauncher, type Derived, type SelfTest } from '../../lib/sandbox/fork';
import type { Sandbox } from '../../lib/sandbox/launcher';
import { CartonError } from '../../lib/support/errors';
import type { HostLog } from '../../lib/support/host_environment';
import { FakeClock } from '../support/fake_clock';

export const SILENT: HostLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Too large to go with a fork, so that no socket is made for it. */
export const BOOT = { revision: 'x'.repeat(PAYLOAD_LIMIT), socketPath: '/nowhere/s' } as InstanceBoot;

/** A promise, and what resolves it. */
export interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
}

export function deferred(): Deferred {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** A template without a process; `die` ends it. */
export class ScriptedTemplate {
  readonly ended: Promise<void>;
  readonly left: Promise<void>;
  readonly pid = 0;
  forks = 0;
  /** Of its forks. */
  killed = 0;
  collected = 0;
  isOpen = true;
  /** It answers no request, and does not end when it is closed. */
  hangs = false;
  die: () => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.die = () => {
        this.isOpen = false;
        resolve();
      };
    });
    this.left = this.ended;
  }

  async fork(): Promise<Sandbox> {
    if (this.hangs) await this.ended;
    if (!this.isOpen) throw new CartonError('CARTON_FORK_ENDED');
    this.forks += 1;
    return { kill: () => (this.killed += 1) } as unknown as Sandbox;
  }

  collect(): void {
    this.collected += 1;
  }

  kill(): void {
    this.die();
  }

  close(): void {
    if (!this.hangs) this.die();
  }
}

export class Scene {
  readonly clock = new FakeClock();
  readonly roots: ScriptedTemplate[] = [];
  readonly revisions: ScriptedTemplate[] = [];
  /** Of a template of the application. */
  failure: CartonError | undefined;
  /** What does not end until it is aborted, or its fork killed. */
  endless: 'root' | 'revision' | 'test' | undefined;
  testFailure: CartonError | undefined;
  /** Until it resolves no fork that is tested answers. */
  testDelay: Promise<void> | undefined;
  /** Of the end of a fork that has answered. */
  lateTestFailure: CartonError | undefined;
  /** Templates that are made quickly are not whole. */
  leavesOut = false;
  /** Until it resolves no template of the application is made. */
  delay: Promise<void> | undefined;
  /** The next template of the application answers no fork. */
  nextHangs = false;
  isMemoryShort = false;
  readonly launcher = new ForkLauncher({
    startRoot: (signal) => (this.endless === 'root' ? aborted(signal) : this.#make(this.roots)),
    derive: (_root, { isQuick, signal }) => (this.endless === 'revision' ? aborted(signal) : this.#derive(isQuick)),
    selfTest: (sandbox) => (this.endless === 'test' ? killed(sandbox) : this.#test()),
    study: () => Promise.resolve(),
    ahead: 0,
    isMemoryShort: () => this.isMemoryShort,
    clock: this.clock,
    log: SILENT,
  });

  /** The one that is used now. */
  get revision(): ScriptedTemplate {
    return this.revisions.at(-1) ?? assert.fail('no template');
  }

  async #derive(isQuick: boolean): Promise<Derived> {
    await this.delay;
    if (this.failure !== undefined) throw this.failure;
    return { template: await this.#make(this.revisions), isWhole: !isQuick || !this.leavesOut };
  }

  async #test(): Promise<SelfTest> {
    await this.testDelay;
    if (this.testFailure !== undefined) throw this.testFailure;
    return { ended: this.lateTestFailure === undefined ? Promise.resolve() : Promise.reject(this.lateTestFailure) };
  }

  #make(list: ScriptedTemplate[]): Promise<Template> {
    const template = new ScriptedTemplate();
    if (list === this.revisions) {
      template.hangs = this.nextHangs;
      this.nextHangs = false;
    }
    list.push(template);
    return Promise.resolve(template as unknown as Template);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new CartonError('CARTON_FORK_ENDED'))));
}

function killed(sandbox: Sandbox): Promise<never> {
  return new Promise((_resolve, reject) => {
    sandbox.kill = () => reject(new CartonError('CARTON_FORK_BOOT_FAILED'));
  });
}
