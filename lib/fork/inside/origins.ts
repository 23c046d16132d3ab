/**
 * Who opened what, while a template boots: sockets, watches of files, processes, threads, requests and timers, each with a
 * short stack, the native addons that were loaded, and the client objects that adapters know. Runs in templates; in
 * their forks it only tells which timers were inherited.
 *
 * 1. It keeps nothing alive: resources are held weakly, stacks until the resource is gone.
 * 2. A template that was forked from another one knows what that one knew.
 * 3. After `stop` nothing of Node's is replaced any more, unless another took hold of it meanwhile.
 */
import { createHook, executionAsyncResource, type AsyncHook } from 'node:async_hooks';
import { CLIENT_SHAPES, type ClientShape } from './clients/shapes';
import { EmitterWatch } from './inspection/emitters';
import { ownerOf, stackHere, type Stack } from './inspection/owner';
import { POOL_WORK } from './inspection/requests';
import { WeakList } from './inspection/weak_list';

/** A resource of Node with the place where it was opened. */
export interface Opened {
  /** Node's name of its type, as in async_hooks. */
  readonly type: string;
  readonly resource: object;
  readonly stack: Stack;
}

export interface LoadedAddon {
  readonly file: string;
  readonly owner: string | null;
}

/** Handles: whatever may hold a descriptor, a process or a thread. */
const HANDLES = ['TCPWRAP', 'TCPSERVERWRAP', 'PIPEWRAP', 'PIPESERVERWRAP', 'TLSWRAP', 'UDPWRAP', 'PROCESSWRAP', 'WORKER', 'FSEVENTWRAP', 'STATWATCHER', 'TTYWRAP'];
/** Requests: what Node does in the kernel or on its thread pool. */
const REQUESTS = [
  'FSREQCALLBACK', 'FSREQPROMISE', 'TCPCONNECTWRAP', 'PIPECONNECTWRAP', 'UDPSENDWRAP', 'WRITEWRAP', 'SHUTDOWNWRAP', 'GETADDRINFOREQWRAP', 'GETNAMEINFOREQWRAP', 'QUERYWRAP',
  ...POOL_WORK,
];
/** How Node puts off what it was asked for: what is opened then was asked for in the stack of before. */
const STEPS = new Set(['TickObject', 'Immediate']);
const TRACED = new Set([...HANDLES, ...REQUESTS]);

type Dlopen = (module: object, file: string, flags?: number) => void;

/** What the template that this process was forked from knew. */
const latest: { readonly origins?: Origins } = {};

export class Origins {
  readonly #opened = new WeakList<object, { readonly type: string; readonly stack: Stack }>();
  readonly #timers = new WeakList<NodeJS.Timeout, undefined>();
  /** Of what is to run in its own turn. */
  readonly #stacks = new WeakMap<object, Stack>();
  readonly #seen = new Set<string>();
  readonly #addons: { readonly file: string; readonly stack: Stack }[] = [];
  readonly #emitters = new EmitterWatch(CLIENT_SHAPES);
  #hook: AsyncHook | undefined;
  #dlopen: { readonly original: Dlopen; readonly wrapped: Dlopen } | undefined;

  /** From now on it takes notes; what the template above this one noted is taken over. */
  start(): void {
    const above = latest.origins;
    if (above !== undefined && above !== this) this.#inherit(above);
    Object.assign(latest, { origins: this });
    this.#hook = createHook({ init: (_id, type, _trigger, resource) => this.#onInit(type, resource) }).enable();
    this.#watchAddons();
    this.#emitters.start();
  }

  stop(): void {
    this.#hook?.disable();
    this.#emitters.stop();
    const target = process as unknown as { dlopen: Dlopen };
    if (this.#dlopen !== undefined && target.dlopen === this.#dlopen.wrapped) target.dlopen = this.#dlopen.original;
  }

  /** Those that run, in the order in which they were made; also in a fork. */
  timers(): NodeJS.Timeout[] {
    return this.#timers.live().map(({ item }) => item).filter((timer) => (timer as { _destroyed?: boolean })._destroyed !== true);
  }

  /** Resources that live, of these types or of all, in the order in which they were opened. */
  opened(...types: readonly string[]): Opened[] {
    return this.#opened.live().filter(({ known }) => types.length === 0 || types.includes(known.type)).map(({ item, known }) => ({ resource: item, ...known }));
  }

  /** Whether any of this type was, also one that is gone. */
  hasOpened(type: string): boolean {
    return this.#seen.has(type);
  }

  /** As in `Reason`. Null for a resource that it did not see being opened. */
  ownerOf(resource: object): string | null {
    const opened = this.#opened.live().find(({ item }) => item === resource);
    return opened === undefined ? null : ownerOf(opened.known.stack);
  }

  /** Who opened the latest of these that lives. */
  latestOwner(...types: readonly string[]): string | null {
    const last = this.opened(...types).at(-1);
    return last === undefined ? null : ownerOf(last.stack);
  }

  addons(): LoadedAddon[] {
    return this.#addons.map(({ file, stack }) => ({ file, owner: ownerOf(stack) }));
  }

  /** Client objects that live. */
  instances(shape: ClientShape): object[] {
    return this.#emitters.instances(shape);
  }

  #onInit(type: string, resource: object): void {
    if (type === 'Timeout') return this.#timers.push(resource as NodeJS.Timeout, undefined);
    const isTraced = TRACED.has(type);
    if (!isTraced && !STEPS.has(type)) return;
    const stack = stackHere(this.#stacks.get(executionAsyncResource()));
    this.#stacks.set(resource, stack);
    if (!isTraced) return;
    this.#seen.add(type);
    this.#opened.push(resource, { type, stack });
  }

  #watchAddons(): void {
    const target = process as unknown as { dlopen: Dlopen };
    const original = target.dlopen;
    const addons = this.#addons;
    const wrapped: Dlopen = function(this: unknown, ...args) {
      addons.push({ file: args[1], stack: stackHere() });
      return original.apply(this, args);
    };
    target.dlopen = wrapped;
    this.#dlopen = { original, wrapped };
  }

  #inherit(from: Origins): void {
    this.#opened.pushAll(from.#opened);
    this.#timers.pushAll(from.#timers);
    for (const type of from.#seen) this.#seen.add(type);
    this.#addons.push(...from.#addons);
    this.#emitters.inherit(from.#emitters);
  }
}
