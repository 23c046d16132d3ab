/**
 * What a statement does to its session, as far as its text tells. It runs in sidecars. The database tells of most: an open
 * transaction, and changes of the session's state. What it does not tell is looked for here, and rather too much than too
 * little is found: who is bound to a connection without need costs a connection, who is not bound in need gets wrong answers.
 */
import { readSetting, type Setting } from './settings';

export interface Effects {
  /** The session is bound to its connection until it is reset or ends. */
  readonly binds: boolean;
  /** What it does is not undone by COM_RESET_CONNECTION. */
  readonly outlasts: boolean;
  /** It asks about the statement before it, such as `SELECT LAST_INSERT_ID()`. */
  readonly refersBack: boolean;
  /** The statement after it will ask about it. */
  readonly isReferredTo: boolean;
  /** Whether this is a SET, what it sets, and whether it holds for the next transaction only. */
  readonly isSet: boolean;
  readonly setting?: Setting;
  readonly isOnce: boolean;
  /** It may do anything, and an ERR packet does not tell what. */
  readonly calls: boolean;
  /** It names a connection by its number. */
  readonly kills: boolean;
}

export const NO_EFFECTS: Effects = Object.freeze({ binds: false, outlasts: false, refersBack: false, isReferredTo: false, isSet: false, isOnce: false, calls: false, kills: false });
export const BINDING: Effects = Object.freeze({ ...NO_EFFECTS, binds: true });
const SET_WITHOUT_TRACE: Effects = Object.freeze({ ...NO_EFFECTS, isSet: true });

const BINDS_ANYWHERE = /:=|\bGET_LOCK\b|\bINTO\s+@|\b(?:SERVICE_GET_(?:READ|WRITE)_LOCKS)\b/i;
const BINDS_AT_START = /^(?:USE|LOCK|HANDLER|XA|PREPARE|BACKUP|CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY|FLUSH\b[^]*\b(?:LOCK|EXPORT))\b/i;
const REFERRED_TO = /\bLAST_INSERT_ID\s*\(\s*[^)\s]|\bSQL_CALC_FOUND_ROWS\b/i;
const REFERS_BACK = /\b(?:LAST_INSERT_ID|FOUND_ROWS|ROW_COUNT)\s*\(\s*\)|\bLASTVAL\s*\(|\bPREVIOUS\s+VALUE\s+FOR\b|@@(?:\w+\s*\.\s*)?(?:last_insert_id|identity|insert_id|warning_count|error_count)\b|\bDIAGNOSTICS\b|^SHOW\s+(?:COUNT\s*\(|WARNINGS|ERRORS|PROFILE)/i;
/** Any of the above: most statements are done with this one test. */
const SUSPECT = new RegExp(`${BINDS_ANYWHERE.source}|${REFERRED_TO.source}|${REFERS_BACK.source.replace('|^SHOW', '|SHOW')}`, 'i');

/** Blanks, comments and parentheses before the first word; what stands in comments such as `/*!40101 … *` is executed. */
const LEADING = /^(?:[\s(;]+|--[ \t][^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|\/\*(?![M!])[^]*?\*\/|\/\*M?!\d*)+/;
const STATEMENT = /^(?:SET|KILL|CALL|SHOW|USE|LOCK|HANDLER|XA|PREPARE|BACKUP|CREATE|FLUSH|BEGIN\s+NOT|EXECUTE|IF|WHILE|LOOP|REPEAT|FOR|DO)\b/i;

/** @param text of which each character is one byte
 *  @param mayBeMany whether the session may send several statements at once */
export function effectsOf(text: string, mayBeMany: boolean): Effects {
  const end = mayBeMany ? text.indexOf(';') : -1;
  if (end !== -1 && /[^\s;]/.test(text.slice(end))) return effectsOfMany(text.split(';'));
  return effectsOfOne(text);
}

/** A semicolon may stand in a string; then a part is taken for a statement that is none, which binds rather too much. */
function effectsOfMany(texts: readonly string[]): Effects {
  const parts = texts.filter((text) => text.trim() !== '').map(effectsOfOne);
  return {
    ...NO_EFFECTS,
    binds: parts.some(({ binds, isSet }) => binds || isSet),
    outlasts: parts.some(({ outlasts }) => outlasts),
    refersBack: parts[0]?.refersBack === true,
    isReferredTo: parts.at(-1)?.isReferredTo === true,
    calls: parts.some(({ calls }) => calls),
    kills: parts.some(({ kills }) => kills),
  };
}

function effectsOfOne(text: string): Effects {
  const statement = isWordCharacter(text.charCodeAt(0)) ? text : text.replace(LEADING, '');
  const isSuspect = SUSPECT.test(statement);
  if (!isSuspect && !STATEMENT.test(statement)) return NO_EFFECTS;
  if (/^SET\b/i.test(statement)) return effectsOfSet(statement);
  return {
    ...NO_EFFECTS,
    binds: BINDS_ANYWHERE.test(statement) || BINDS_AT_START.test(statement),
    refersBack: REFERS_BACK.test(statement),
    isReferredTo: REFERRED_TO.test(statement),
    calls: /^(?:CALL|BEGIN|EXECUTE|IF|WHILE|LOOP|REPEAT|FOR|DO)\b/i.test(statement),
    kills: /^KILL\b/i.test(statement),
  };
}

function effectsOfSet(statement: string): Effects {
  const meaning = readSetting(statement.slice(3).trim().replace(/[\s;]+$/, ''));
  switch (meaning.kind) {
    case 'none': return BINDS_ANYWHERE.test(statement) ? BINDING : SET_WITHOUT_TRACE;
    case 'once': return { ...NO_EFFECTS, isSet: true, isOnce: true };
    case 'binding': return { ...BINDING, isSet: true, outlasts: /^SET\s+(?:SESSION\s+AUTHORIZATION|ROLE)\b/i.test(statement), refersBack: REFERS_BACK.test(statement) };
    case 'setting': return { ...NO_EFFECTS, isSet: true, setting: meaning.setting };
  }
}

function isWordCharacter(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}

/** Looks on in the rest of a statement that is too long to be read as a whole. */
export class RestOfStatement {
  static readonly #OVERLAP = 40;
  #before = '';

  /** Whether what has come now binds the session. */
  binds(bytes: Buffer): boolean {
    const text = this.#before + bytes.toString('latin1');
    this.#before = text.slice(-RestOfStatement.#OVERLAP);
    return BINDS_ANYWHERE.test(text);
  }
}
