/**
 * Hears of `mm.restore()`, with which tests undo all their mocks at once, so that mocks that live in instances are
 * undone with it. Runs in app workers, and only where egg-mock's plugin is enabled.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** `mm(object, key, value)`; `mm.restore()` deletes what it had put on an object that had no such key. */
type Mock = (object: object, key: string, value: unknown) => void;

/**
 * Calls `onRestore` at the next restore, once. mm tells nobody of it: the object that it is made to mock something on
 * here notices the deletion instead. Does nothing where `mockPlugin`, the directory of egg-mock, is undefined.
 */
export function onceRestored(mockPlugin: string | undefined, onRestore: () => void): void {
  if (mockPlugin === undefined) return;
  const mm = createRequire(join(mockPlugin, 'package.json'))('mm') as Mock;
  const noticing = new Proxy({}, {
    deleteProperty(target, key) {
      onRestore();
      return Reflect.deleteProperty(target, key);
    },
  });
  mm(noticing, 'mocks', true);
}
