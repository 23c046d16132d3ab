/**
 * Prepared statements. It runs in sidecars. A session's statement is its text, and a number that the wire gave to it; each
 * connection to the database has it prepared when it is needed there, and keeps it for whoever has the same text. Binding
 * a session to its connection while it has statements would be simpler, but drivers and ORMs keep theirs for good.
 */
import { LIMITS } from '../../../../lib/support/limits';
import { HEADER_BYTES } from './protocol';
import { effectsOf, type Effects } from './statement';

/** One for all sessions of an application: they are many, and their statements are the same. */
export interface StatementText {
  /** Each character is one byte. */
  readonly sql: string;
  readonly effects: Effects;
  users: number;
}

export interface Prepared {
  readonly text: StatementText;
  readonly parameters: number;
}

export class StatementTexts {
  readonly #texts = new Map<string, StatementText>();

  take(sql: string): StatementText {
    let text = this.#texts.get(sql);
    if (text === undefined) this.#texts.set(sql, (text = { sql, effects: effectsOf(sql, false), users: 0 }));
    text.users += 1;
    return text;
  }

  release(text: StatementText): void {
    text.users -= 1;
    if (text.users === 0) this.#texts.delete(text.sql);
  }
}

/** The statements of one session. */
export class SessionStatements {
  readonly #prepared = new Map<number, Prepared>();
  #newest = 0;

  constructor(readonly texts: StatementTexts) {}

  get isFull(): boolean {
    return this.#prepared.size >= LIMITS.wireStatements;
  }

  add(sql: string, parameters: number): number {
    this.#newest = (this.#newest % 0xffffffff) + 1;
    this.#prepared.set(this.#newest, { text: this.texts.take(sql), parameters });
    return this.#newest;
  }

  get(id: number): Prepared | undefined {
    return this.#prepared.get(id);
  }

  close(id: number): void {
    const prepared = this.#prepared.get(id);
    if (prepared !== undefined) this.texts.release(prepared.text);
    this.#prepared.delete(id);
  }

  clear(): void {
    for (const { text } of this.#prepared.values()) this.texts.release(text);
    this.#prepared.clear();
  }
}

/** The statements that one connection to the database has prepared: their numbers there, the last used last. */
export class KeptStatements {
  readonly #ids = new Map<string, number>();

  idOf(sql: string): number | undefined {
    const id = this.#ids.get(sql);
    if (id !== undefined) {
      this.#ids.delete(sql);
      this.#ids.set(sql, id);
    }
    return id;
  }

  /** Returns the number of a statement that is to be closed for it, if any. */
  keep(sql: string, id: number): number | undefined {
    const same = this.forget(sql);
    this.#ids.set(sql, id);
    const oldest = this.#ids.size > LIMITS.wireStatementsKept ? this.#ids.keys().next().value : undefined;
    return same ?? (oldest === undefined ? undefined : this.forget(oldest));
  }

  forget(sql: string): number | undefined {
    const id = this.#ids.get(sql);
    this.#ids.delete(sql);
    return id;
  }

  clear(): void {
    this.#ids.clear();
  }
}

/** Where a command about a statement has its number, and an answer to COM_STMT_PREPARE too. */
export const ID_AT = HEADER_BYTES + 1;

/** Whether an execution says the types of its parameters. A driver may leave that out after the first, but that one ran elsewhere. */
export function saysTypes(execute: Buffer, parameters: number): boolean {
  return parameters === 0 || execute[ID_AT + 9 + ((parameters + 7) >> 3)] === 1;
}

export function hasCursor(execute: Buffer): boolean {
  return execute[ID_AT + 4] !== 0;
}
