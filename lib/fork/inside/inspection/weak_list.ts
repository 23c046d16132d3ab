/**
 * A list that keeps nothing alive: objects with what is known of each, in the order in which they came. Runs in
 * templates. It holds at most twice as many entries as objects were alive at its last sweep, or `SWEEP_ENTRIES`.
 */

const SWEEP_ENTRIES = 4096;

interface Entry<Item extends object, Known> {
  readonly item: WeakRef<Item>;
  readonly known: Known;
}

export class WeakList<Item extends object, Known> {
  #entries: Entry<Item, Known>[] = [];
  #sweepAt = SWEEP_ENTRIES;

  push(item: Item, known: Known): void {
    this.#add([{ item: new WeakRef(item), known }]);
  }

  pushAll(other: WeakList<Item, Known>): void {
    this.#add(other.#entries);
  }

  /** Those that live. */
  live(): { readonly item: Item; readonly known: Known }[] {
    return this.#entries.flatMap(({ item, known }) => {
      const live = item.deref();
      return live === undefined ? [] : [{ item: live, known }];
    });
  }

  #add(entries: readonly Entry<Item, Known>[]): void {
    for (const entry of entries) this.#entries.push(entry);
    if (this.#entries.length < this.#sweepAt) return;
    this.#entries = this.#entries.filter(({ item }) => item.deref() !== undefined);
    this.#sweepAt = Math.max(SWEEP_ENTRIES, 2 * this.#entries.length);
  }
}
