/**
 * Replaces methods of services by answers from a list, for tests that run against a cluster and cannot reach into a
 * function process. Runs in function processes, and with the inline launcher.
 */
import type { ServiceMock } from '../../protocol/control';
import { CartonError } from '../../support/errors';
import { didYouMean } from '../../support/nearest';

type Methods = Record<string, unknown>;

interface Placed {
  readonly owner: Methods;
  readonly method: string;
  /** Undefined where the method was inherited. */
  readonly before: PropertyDescriptor | undefined;
}

interface Found {
  readonly owner: Methods;
  readonly mock: ServiceMock;
}

function isObject(value: unknown): value is Methods {
  return (typeof value === 'object' || typeof value === 'function') && value !== null;
}

/** The object that holds a service's methods: a class's prototype, or the service itself where it is an object. */
function ownerOf(services: unknown, mock: ServiceMock): Methods {
  let node = services;
  for (const name of mock.service.split('.')) {
    const known: string[] = isObject(node) ? Object.keys(node) : [];
    const next: unknown = isObject(node) ? node[name] : undefined;
    if (!isObject(next)) throw unknown(mock, `a service of this application, such as ${sample(known)}`, didYouMean(name, known));
    node = next;
  }
  const service = node as Methods;
  return typeof service === 'function' && isObject(service['prototype']) ? service['prototype'] : service;
}

function sample(names: readonly string[]): string {
  return names.length === 0 ? '(it has none)' : names.slice(0, 5).map((name) => `"${name}"`).join(', ');
}

function unknown(mock: ServiceMock, expected: string, hint: string | undefined): CartonError {
  return new CartonError('CARTON_RUNTIME_UNKNOWN_SERVICE', { of: `mock of service "${mock.service}"`, expected, got: `method "${mock.method}"`, hint });
}

/** Throws `CARTON_RUNTIME_UNKNOWN_SERVICE` for a mock of what is not there. */
export function assertMockable(services: unknown, mock: ServiceMock): void {
  find(services, mock);
}

function find(services: unknown, mock: ServiceMock): Found {
  const owner = ownerOf(services, mock);
  if (typeof owner[mock.method] !== 'function') {
    const methods = Object.getOwnPropertyNames(owner).filter((name) => name !== 'constructor' && typeof owner[name] === 'function');
    throw unknown(mock, 'a method of this service', didYouMean(mock.method, methods));
  }
  return { owner, mock };
}

/** Answers as egg-mock's `mockService` does: with a promise where the method is an async or a generator function. */
function stand(mock: ServiceMock, original: unknown): () => unknown {
  const answer = (): unknown => {
    // The list is a test's, and what it wants thrown is a plain error with its message, as from a client.
    // eslint-disable-next-line no-restricted-syntax -- the error is the test's own
    if (mock.error !== undefined) throw new Error(mock.error);
    return structuredClone(mock.result);
  };
  const kind = (original as { constructor: { name: string } }).constructor.name;
  return kind === 'Function' ? answer : () => new Promise((resolve) => resolve(answer()));
}

export class ServiceMocks {
  readonly #services: () => unknown;
  #placed: Placed[] = [];

  /** `services` gives the tree of classes and objects that the application's services are made from. */
  constructor(services: () => unknown) {
    this.#services = services;
  }

  /** Restores what the last list replaced, then replaces what this one names. An unknown name changes nothing. */
  set(mocks: readonly ServiceMock[]): void {
    const services = this.#services();
    const found = mocks.map((mock) => find(services, mock));
    this.#restore();
    for (const { owner, mock } of found) this.#place(owner, mock);
  }

  #place(owner: Methods, mock: ServiceMock): void {
    const { method } = mock;
    this.#placed.push({ owner, method, before: Object.getOwnPropertyDescriptor(owner, method) });
    const value = stand(mock, owner[method]);
    Object.defineProperty(owner, method, { value, writable: true, configurable: true, enumerable: false });
  }

  #restore(): void {
    // Backwards, so that of two mocks of one method the first leaves the original behind.
    for (const { owner, method, before } of this.#placed.reverse()) {
      if (before === undefined) delete owner[method];
      else Object.defineProperty(owner, method, before);
    }
    this.#placed = [];
  }
}
