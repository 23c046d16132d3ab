/**
 * Finds client objects (pools, redis clients) without a heap walk, which would cost a quarter of a second per class:
 * what has events goes through `EventEmitter.init`, which Node lets be replaced, as its own `domain` does. Runs in
 * templates while they boot.
 */
import { EventEmitter } from 'node:events';
import { WeakList } from './weak_list';

type Init = (this: object, ...args: unknown[]) => unknown;

const target = EventEmitter as unknown as { init: Init };

/** `Shape` names sets of methods. */
export class EmitterWatch<Shape extends string> {
  readonly #shapes: readonly (readonly [Shape, readonly string[]])[];
  /** By prototype, since of hundreds of emitters most are of a few classes. */
  readonly #known = new WeakMap<object, Shape | 'other'>();
  readonly #found = new WeakList<object, Shape>();
  #replaced: { readonly original: Init; readonly own: Init } | undefined;
  #isOn = false;

  constructor(shapes: Readonly<Record<Shape, readonly string[]>>) {
    this.#shapes = Object.entries(shapes) as [Shape, readonly string[]][];
  }

  start(): void {
    this.#isOn = true;
    const original = target.init;
    const onInit = (emitter: object): void => this.#onInit(emitter);
    const own: Init = function(this: object, ...args) {
      onInit(this);
      return original.apply(this, args);
    };
    target.init = own;
    this.#replaced = { original, own };
  }

  /** Another replacement on top of this one stays; what it calls here passes through. */
  stop(): void {
    this.#isOn = false;
    if (this.#replaced !== undefined && target.init === this.#replaced.own) target.init = this.#replaced.original;
  }

  instances(shape: Shape): object[] {
    return this.#found.live().flatMap(({ item, known }) => (known === shape ? [item] : []));
  }

  inherit(from: EmitterWatch<Shape>): void {
    this.#found.pushAll(from.#found);
  }

  #onInit(emitter: object): void {
    if (!this.#isOn) return;
    const prototype: unknown = Object.getPrototypeOf(emitter);
    if (typeof prototype !== 'object' || prototype === null) return;
    let shape = this.#known.get(prototype);
    if (shape === undefined) {
      shape = this.#shapes.find(([, methods]) => methods.every((method) => method in prototype))?.[0] ?? 'other';
      this.#known.set(prototype, shape);
    }
    if (shape !== 'other') this.#found.push(emitter, shape);
  }
}
