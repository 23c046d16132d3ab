/**
 * The settings of a session that do not bind it to one database connection: statements such as `SET time_zone = '+08:00'`
 * are collected, and run again on whatever connection the session gets next. It runs in sidecars.
 *
 * Only what gives the same when it is run again counts as a setting; `readSetting` is asked for each SET statement, and
 * what it does not know binds the session to its connection.
 */
import { CAPABILITY } from './protocol';
import { LIMITS } from '../../../../lib/support/limits';

export interface Setting {
  /** The statement; each character is one byte of it, in whatever character set the session has. */
  readonly sql: string;
  /** What it sets, in one word. A later one of the same targets takes its place. */
  readonly targets: string;
  /** It refers to no other variable. */
  readonly isConstant: boolean;
  /** The database knows it or does not, and goes on either way: so it does with a handshake. */
  readonly mayFail?: boolean;
}

/**
 * What a SET statement is. `none`: nothing that outlives it, or that statuses tell by themselves. `once`: it holds for the next
 * transaction. `binding`: anything else.
 */
export type SetMeaning = { readonly kind: 'none' | 'once' | 'binding' } | { readonly kind: 'setting'; readonly setting: Setting };

export class Settings {
  static readonly none = new Settings([]);
  /** Equal for equal settings. */
  readonly key: string;

  private constructor(readonly statements: readonly Setting[]) {
    this.key = statements.map(({ sql }) => sql).join('\0');
  }

  /** Undefined: there are too many of them. */
  with(setting: Setting): Settings | undefined {
    let kept = this.statements;
    const same = kept.findIndex(({ targets, isConstant }) => isConstant && targets === setting.targets);
    // What an inconstant statement made of the earlier value stays as it was.
    if (setting.isConstant && same !== -1 && kept.slice(same).every(({ isConstant }) => isConstant)) kept = kept.filter((_, index) => index !== same);
    const next = new Settings([...kept, setting]);
    return next.statements.length > LIMITS.wireSettings || next.key.length > LIMITS.wireSettingsBytes ? undefined : next;
  }
}

/**
 * What the handshake of a connection sets. COM_RESET_CONNECTION undoes it on some servers, and connections are shared by
 * sessions of different character sets.
 */
export function settingsOfHandshake(capabilities: number, collation: string | undefined): Settings {
  const statements: Setting[] = [];
  if (collation !== undefined) statements.push({ sql: `SET NAMES ${collation.split('_', 1)[0] as string} COLLATE ${collation}`, targets: 'names', isConstant: true, mayFail: true });
  if ((capabilities & CAPABILITY.ignoreSpace) !== 0) statements.push({ sql: 'SET sql_mode = CONCAT(@@sql_mode, \',IGNORE_SPACE\')', targets: 'sql_mode', isConstant: false });
  return statements.reduce((settings, setting) => settings.with(setting) ?? settings, Settings.none);
}

const ELSEWHERE = /^(?:GLOBAL|PERSIST|PERSIST_ONLY|PASSWORD|DEFAULT\s+ROLE|STATEMENT)\b/i;
const ASSIGNMENT = /^(?:(session|local)\s+|@@(?:(session|local)\s*\.\s*)?)?(`?)([a-z_][\w.]*)\3\s*=\s*([^]+)$/i;
const NAMES = /^(?:NAMES|CHARACTER\s+SET|CHARSET)\s+(.+)$/i;
const CONSTANT = /^(?:[-+\w.]+|'[^'\\]*'|"[^"\\]*")$/;
/** Values that come from somewhere else each time, or from a user's variable. */
const FLEETING = /(?<!@)@(?!@)|\bFROM\b|\b(?:now|sysdate|rand|uuid|current_\w+|connection_id|last_insert_id)\b|\?/i;
/** Variables that hold for one statement, that tell of the connection itself, or that the wire needs. */
const BINDING = /^(?:insert_id|last_insert_id|identity|rand_seed\d|timestamp|gtid_\w+|pseudo_\w+|session_track_\w+|skip_replication|debug\w*)$/i;
const ONE_TRANSACTION = /^(?:tx|transaction)_(?:isolation|read_only)$/i;
/** Longer ones are not worth collecting. */
const MAX_CHARACTERS = 2_048;

/** `text` is what stands behind SET, without the semicolon. */
export function readSetting(text: string): SetMeaning {
  if (text.length > MAX_CHARACTERS) return { kind: 'binding' };
  if (/^TRANSACTION\b/i.test(text)) return { kind: 'once' };
  const transaction = /^(?:SESSION|LOCAL)\s+TRANSACTION\b/i.exec(text);
  if (transaction !== null) return setting(text, `transaction${/\bISOLATION\b/i.test(text) ? ' isolation' : ''}${/\bREAD\s+(?:ONLY|WRITE)\b/i.test(text) ? ' access' : ''}`, true);
  const parts = assignments(text);
  if (parts === undefined) return { kind: 'binding' };
  if (ELSEWHERE.test(text) || /^@@(?:global|persist\w*)\s*\./i.test(text)) return { kind: parts.length === 1 || /^STATEMENT\b/i.test(text) ? 'none' : 'binding' };
  return meaningOf(text, parts);
}

function meaningOf(text: string, parts: readonly string[]): SetMeaning {
  const targets: string[] = [];
  let isConstant = true;
  for (const part of parts) {
    const names = NAMES.exec(part);
    const [, keyword, dotted, , name = '', value = ''] = ASSIGNMENT.exec(part) ?? [];
    if (FLEETING.test(names?.[1] ?? value) || (names === null && (name === '' || BINDING.test(name)))) return { kind: 'binding' };
    const isAlone = parts.length === 1;
    if (/^autocommit$/i.test(name)) return { kind: isAlone ? 'none' : 'binding' };
    if (part.startsWith('@@') && keyword === undefined && dotted === undefined && ONE_TRANSACTION.test(name)) return { kind: isAlone ? 'once' : 'binding' };
    targets.push(names === null ? name.toLowerCase() : 'names');
    isConstant &&= names !== null || CONSTANT.test(value.trim());
  }
  return setting(text, targets.join(' '), isConstant);
}

function setting(text: string, targets: string, isConstant: boolean): SetMeaning {
  return { kind: 'setting', setting: { sql: `SET ${text}`, targets, isConstant } };
}

/** Splits at commas outside of quotes and parentheses. Undefined: they do not close, or another statement follows. */
function assignments(text: string): string[] | undefined {
  const parts: string[] = [];
  let quote = '';
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] as string;
    if (quote !== '') {
      if (character === '\\') at += 1;
      else if (character === quote) quote = '';
    } else if (character === '\'' || character === '"' || character === '`') quote = character;
    else if (character === '(') depth += 1;
    else if (character === ')') depth -= 1;
    else if (character === ';' || character === '#' || text.startsWith('--', at) || text.startsWith('/*', at) || text.startsWith('*/', at)) return undefined;
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  return quote === '' && depth === 0 ? [...parts, text.slice(from).trim()] : undefined;
}
