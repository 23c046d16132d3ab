/**
 * What a function process's connection has of a session: its settings, whether it is bound to a connection of the database,
 * and what becomes of that after each command. It runs in sidecars. It only decides.
 */
import { CAPABILITY, STATUS } from './protocol';
import { type Kind } from './driver';
import { type Outcome } from './response';
import { type SessionStatements } from './prepared';
import { type Settings } from './settings';
import { type Effects } from './statement';

/** `keep`: the session goes on with its connection. Else it is given back, `clean` or to be reset first. */
export type Verdict = 'keep' | 'clean' | 'unclean';

export class Session {
  settings: Settings;
  /** Statements with a cursor, or with data that came ahead of their execution: both are on one connection. */
  readonly open = new Set<number>();
  #isInTransaction = false;
  #isAutocommit = true;
  #isBound = false;
  #outlasts = false;
  /** A setting for the next transaction is made. */
  #isOnce = false;

  /** @param base what the handshake has set */
  constructor(readonly kind: Kind, readonly base: Settings, readonly statements: SessionStatements) {
    this.settings = base;
  }

  get isInTransaction(): boolean {
    return this.#isInTransaction;
  }

  /** It cannot do with another connection. */
  get isPinned(): boolean {
    return this.#isBound || this.#isInTransaction || !this.#isAutocommit || this.#isOnce || this.open.size > 0;
  }

  /** A connection that is reset would keep something of it. */
  get outlastsReset(): boolean {
    return this.#outlasts;
  }

  get mayBeMany(): boolean {
    return (this.kind & CAPABILITY.multiStatements) !== 0;
  }

  /** As the server would say it. */
  get status(): number {
    return (this.#isInTransaction ? STATUS.inTransaction : 0) | (this.#isAutocommit ? STATUS.autocommit : 0);
  }

  /** From its next connection on it keeps it. */
  bind(): void {
    this.#isBound = true;
  }

  /** As after COM_RESET_CONNECTION. */
  reset(): void {
    this.settings = this.base;
    this.open.clear();
    this.statements.clear();
    this.#isInTransaction = false;
    this.#isAutocommit = true;
    this.#isBound = false;
    this.#outlasts = false;
    this.#isOnce = false;
  }

  /** @param isTracked the database tells of changes of the session's state */
  after(effects: Effects, { failed, status, stateChanged }: Outcome, isTracked: boolean): Verdict {
    if (status !== undefined) {
      this.#isInTransaction = (status & STATUS.inTransaction) !== 0;
      this.#isAutocommit = (status & STATUS.autocommit) !== 0;
    }
    if (this.#binds(effects, { failed, stateChanged, isTracked })) this.#isBound = true;
    this.#outlasts ||= effects.outlasts;
    if (!failed && effects.setting !== undefined) this.#set(effects.setting);
    const wasOnce = this.#isOnce;
    this.#isOnce = (effects.isOnce && !failed) || (wasOnce && effects.isSet);
    if (this.isPinned) return 'keep';
    // Whether a statement outside of a transaction used up what was set for the next one, the database does not tell.
    return wasOnce ? 'unclean' : 'clean';
  }

  #binds(effects: Effects, { failed, stateChanged, isTracked }: { failed: boolean; stateChanged: boolean; isTracked: boolean }): boolean {
    const isKnown = effects.isSet && !effects.binds;
    return effects.binds || (stateChanged && !isKnown) || (effects.calls && (failed || !isTracked)) || (effects.isReferredTo && !this.#isInTransaction);
  }

  #set(setting: NonNullable<Effects['setting']>): void {
    const next = this.settings.with(setting);
    if (next === undefined) this.#isBound = true;
    else this.settings = next;
  }
}
